"""Span: which part of a clip is meant, in seconds of the clip's own, possibly uneven clock."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

from selfhvd_cli.errors import InputFault
from selfhvd_cli.moments import Moment
from selfhvd_cli.video.info import VideoInfo
from selfhvd_cli.video.reader import open_reader


@dataclass(frozen=True)
class Span:
    """A part of a clip; None is from the first frame, or to the last."""

    start: Fraction | None = None
    """Seconds after the first frame."""

    duration: Fraction | None = None
    """Seconds."""


def span_of(path: Path, start: Moment | None, duration: Moment | None) -> Span:
    """The span in seconds; for frames the times are read off the clip, for phones space them unevenly.

    Raises:
        InputFault: the clip has no frame at `start`, or cannot be read.
    """
    counted = [moment for moment in (start, duration) if moment is not None and moment.unit == "f"]
    if not counted:
        return Span(_seconds(start), _seconds(duration))
    times = _FrameTimes(path)
    begin = _seconds(start)
    if start is not None and start.unit == "f":
        first = int(start.amount)
        begin = times.at(first)
        if begin is None:
            raise InputFault(f"{path}: --start {start} lies behind the last frame; it has {times.known} frames.")
    else:
        first = times.first_from(begin or Fraction(0))
    if duration is None or duration.unit != "f":
        return Span(begin, _seconds(duration))
    end = times.at(first + int(duration.amount))
    return Span(begin, None if end is None else end - (begin or 0))


def expected_frames(info: VideoInfo, span: Span) -> int | None:
    """How many frames a span will have, as far as the container says; for estimates only."""
    if span.start is None and span.duration is None and info.frame_count is not None:
        return info.frame_count
    if info.duration is None and span.duration is None:
        return None
    length = info.duration - (span.start or 0) if info.duration is not None else None
    if span.duration is not None:
        length = span.duration if length is None else min(length, span.duration)
    assert length is not None
    return max(1, round(length * info.frame_rate))


def _seconds(moment: Moment | None) -> Fraction | None:
    return None if moment is None else moment.amount


class _FrameTimes:
    """Times of a clip's frames after the first one, decoded as far as they are asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._times: list[Fraction] = []
        self._ended = False

    @property
    def known(self) -> int:
        return len(self._times)

    def at(self, index: int) -> Fraction | None:
        """Seconds after the first frame; None where there is no such frame."""
        if index >= len(self._times) and not self._ended:
            with open_reader(self._path) as reader:
                times = [frame.time for frame in islice(reader, index + 1)]
            self._times = [time - times[0] for time in times]
            self._ended = len(times) <= index
        return self._times[index] if index < len(self._times) else None

    def first_from(self, seconds: Fraction) -> int:
        """Number of the first frame at or after a time."""
        if seconds == 0:
            return 0
        with open_reader(self._path) as reader:
            origin: Fraction | None = None
            for index, frame in enumerate(reader):
                origin = frame.time if origin is None else origin
                if frame.time - origin >= seconds:
                    return index
        raise InputFault(f"{self._path}: --start {float(seconds):g}s lies behind the last frame.")
