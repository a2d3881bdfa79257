"""Two videos frame by frame, where their frames belong together."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from selfhvd_cli.counting import counted
from selfhvd_cli.errors import InputFault
from selfhvd_cli.video.frame import SourceFrame
from selfhvd_cli.video.info import VideoInfo
from selfhvd_cli.video.reader import Reader


class Unlike(InputFault):
    """Two videos whose frames cannot be laid on each other; the message says both sizes or lengths."""


def check_sizes(one: VideoInfo, other: VideoInfo) -> None:
    """Raise `Unlike` unless both have pictures of the same size, as stored."""
    if (one.width, one.height) == (other.width, other.height):
        return
    turned = (one.width, one.height) == (other.height, other.width)
    hint = "; one of them stores the picture turned" if turned else ""
    raise Unlike(
        f"{one.path} has {one.width}×{one.height} pixels, {other.path} has {other.width}×{other.height}{hint}: "
        "frames of different size cannot be compared; scale one of them first."
    )


def paired_frames(one: Reader, other: Reader) -> Iterator[tuple[SourceFrame, SourceFrame]]:
    """Frames of the same number of both.

    Raises:
        Unlike: one ends before the other.
    """
    for count, (first, second) in enumerate(zip_longest(one, other)):
        if first is None or second is None:
            ended, going = (one.info, other.info) if first is None else (other.info, one.info)
            length = going.frame_count
            more = counted(length, "frame") if length and length > count else f"more than {count}"
            raise Unlike(
                f"{ended.path} has {counted(count, 'frame')}, {going.path} has {more}: they cannot be compared "
                "frame by frame; cut both to the same stretch with --start and --duration."
            )
        yield first, second
