"""The self-check of a finished file: it opens, decodes, and has every frame at its time."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av

from selfhvd_cli.errors import SelfHVDError
from selfhvd_cli.video.opening import location
from selfhvd_cli.video.probe import main_video

TIMELESS = ("avi", "mpegts")
"""Containers whose packets cannot be compared by time: avi stores none, mpegts moves all of them."""


def verify(path: Path, muxer: str, expected: Sequence[Fraction], tolerance: Fraction, place: int) -> None:
    """Compare the frames of `path` with the times that were written.

    Args:
        place: of the pictures' stream, as `main_video` takes it.

    Raises:
        SelfHVDError: the file does not open, or frames are missing or misplaced.
    """
    try:
        with av.open(location(path), "r", metadata_errors="replace") as container:
            stream = main_video(container, path, place)
            times = []
            first = None
            for packet in container.demux(stream):
                if first is None:
                    first = next(iter(packet.decode()), None)
                if packet.size and not packet.is_discard:
                    times.append(packet.pts * packet.time_base if packet.pts is not None else None)
    except (av.FFmpegError, ValueError) as fault:
        raise SelfHVDError(f"{path.name}: the written file cannot be read ({fault}); it was dropped.") from fault
    if first is None:
        raise SelfHVDError(f"{path.name}: the written file does not decode; the output was dropped.")
    if len(times) != len(expected):
        raise SelfHVDError(
            f"{path.name}: {len(expected)} frames were written, {len(times)} came back; the output was dropped."
        )
    if muxer in TIMELESS:
        return
    found = sorted(time for time in times if time is not None)
    worst = max((abs(have - want) for have, want in zip(found, expected, strict=False)), default=Fraction(0))
    if worst > tolerance:
        raise SelfHVDError(
            f"{path.name}: a frame is {float(worst):.4f} s off its time; the output was dropped. Try a .mkv output."
        )
