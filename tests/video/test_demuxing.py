"""Damaged files in which a stream turns up on the way."""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from video_clips import copy, tracks_of

from selfhvd_cli.video.probe import probe

SOUND_OF_ANOTHER_KIND = b"\x2f\xff\xfb\x90\x00" + bytes(413)
"""An FLV tag's contents: a packet of MP3."""


def with_a_late_stream(path: Path, time: int) -> Path:
    """Append a packet of a stream that the file did not have before, at a time in milliseconds."""
    head = struct.pack(">II", 8 << 24 | len(SOUND_OF_ANOTHER_KIND), time << 8) + bytes(3)
    path.write_bytes(
        path.read_bytes() + head + SOUND_OF_ANOTHER_KIND + struct.pack(">I", len(head) + len(SOUND_OF_ANOTHER_KIND))
    )
    return path


@pytest.mark.parametrize("sound", [False, True])
def test_a_stream_that_turns_up_on_the_way_costs_no_frame(clip: Callable[..., Path], sound: bool) -> None:
    ticks = [33 * index for index in range(300)]
    source = clip("in.flv", ticks=ticks, time_base=Fraction(1, 1000), sound=sound)
    with_a_late_stream(source, ticks[-1])
    known = probe(source).streams
    target = source.with_name("out.mkv")
    receipt = copy(source, target)
    after = tracks_of(target)
    assert len(after) == len(known)
    assert len(next(track for track in after if track.kind == "video").packets) == 300
    assert len([line for line in receipt.kept if "bit-identical" in line.reason]) == len(known) - 1
