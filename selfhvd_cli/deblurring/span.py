"""Span: which part of a clip is meant, in seconds of the clip's own, possibly uneven clock."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

from selfhvd_cli.counting import counted
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
    if not any(moment is not None and moment.unit == "f" for moment in (start, duration)):
        return Span(_seconds(start), _seconds(duration))
    first = int(start.amount) if start is not None and start.unit == "f" else 0
    length = int(duration.amount) if duration is not None and duration.unit == "f" else 0
    begin = _seconds(start) if first == 0 else None
    times = _frame_times(path, begin, first + length + 1)
    if first:
        if len(times) <= first:
            raise InputFault(
                f"{path}: --start {start} lies behind the last frame; it has {counted(len(times), 'frame')}."
            )
        begin = times[first]
    if duration is None or duration.unit != "f":
        return Span(begin, _seconds(duration))
    end = times[first + length] if first + length < len(times) else None
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


def _frame_times(path: Path, start: Fraction | None, count: int) -> list[Fraction]:
    """Seconds from the clip's first frame to each of `count` frames from `start` on, fewer where the clip ends."""
    with open_reader(path, start) as reader:
        return [frame.time - reader.info.start_time for frame in islice(reader, count)]
