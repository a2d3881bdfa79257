"""Notes: what was done with each frame, kept with its segment: so a resumed run reports like one that was whole."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from selfhvd_cli.errors import InputFault
from selfhvd_cli.restore.guard import Verdict
from selfhvd_cli.video.segments import read_notes

Note = tuple[Verdict | None, tuple[str, ...]]
"""What the guard did with a frame, and what happened before it."""


class NotesToKeep:
    """Notes of frames on their way to a segment."""

    def __init__(self) -> None:
        self._waiting: dict[int, Note] = {}

    def add(self, frame: int, verdict: Verdict | None, events: tuple[str, ...]) -> None:
        """Note what was done with a frame that is about to be written."""
        self._waiting[frame] = (verdict, events)

    def take(self, first: int, count: int) -> list[Any]:
        """Those of the frames of a segment, as JSON holds them."""
        notes = [self._waiting.pop(frame) for frame in range(first, first + count)]
        return [(asdict(verdict) if verdict else None, events) for verdict, events in notes]

    def clear(self) -> None:
        """None of them will be kept."""
        self._waiting.clear()


class KeptNotes:
    """Notes of one kept segment."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._notes = read_notes(path)

    def of(self, place: int) -> Note:
        """What was done with a frame.

        Args:
            place: of the frame in the segment, from 0.

        Raises:
            InputFault: there is no such note.
        """
        try:
            verdict, events = self._notes[place]
            return (None if verdict is None else Verdict(**verdict)), tuple(events)
        except (ValueError, TypeError, IndexError) as fault:
            raise InputFault(
                f"{self.path}: has no note of its frame {place}; remove it with selfhvd jobs clean OUTPUT."
            ) from fault
