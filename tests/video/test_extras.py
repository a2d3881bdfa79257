"""What pictures carry that the output's encoder does not write is named in the receipt; what it writes is kept."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest
from nal_units import escaped, read_units, write_units
from spatial_video import make_spatial_video
from video_clips import Recipe, copy, make

from selfhvd_cli.video.encoders import Encoding
from selfhvd_cli.video.probe import probe

CAPTIONS = bytes.fromhex("b5 0031 47413934 03 42 ff fc9420 fc942c ff")
"""Two pairs of CEA-608 bytes in the frame of ATSC A/53, as user data of ITU-T T.35."""

HDR10_PLUS = bytes.fromhex("b5 003c 0001 04 01") + (1 << 142 | 1000 << 115).to_bytes(18, "big")
"""SMPTE ST 2094-40: one window, a display of 1000 cd/m², all else 0."""


def as_message(content: bytes) -> bytes:
    """The rest of a unit with one message (SEI) of kind 4."""
    return escaped(bytes([4, len(content)]) + content) + b"\x80"


def captioned(path: Path) -> Path:
    """Raw h264 with captions before every picture."""
    make(path, Recipe(frames=4, sound=False))
    message = b"\x06" + as_message(CAPTIONS)
    return write_units(path, chain(*([message, u] if u[0] & 31 in (1, 5) else [u] for u in read_units(path))))


def with_hdr10_plus(path: Path) -> Path:
    """Raw hevc with HDR10+ metadata before every picture."""
    options = {"x265-params": "bframes=0:repeat-headers=1:log-level=error"}
    make(path, Recipe(frames=4, sound=False, codec="libx265", pixel_format="yuv420p10le", options=options))
    message = b"\x4e\x01" + as_message(HDR10_PLUS)
    return write_units(path, chain(*([message, u] if u[0] >> 1 < 32 else [u] for u in read_units(path))))


def test_captions_are_kept_by_who_writes_them(tmp_path: Path) -> None:
    source = captioned(tmp_path / "a.h264")
    receipt = copy(source, tmp_path / "b.mkv", Encoding(codec="h264", preset="ultrafast"))
    assert "closed captions" in {line.what for line in receipt.kept}
    assert not receipt.left_out
    assert probe(tmp_path / "b.mkv").extras == ("closed captions",)


def test_lost_captions_are_named_with_a_way_to_keep_them(tmp_path: Path) -> None:
    receipt = copy(captioned(tmp_path / "a.h264"), tmp_path / "b.mkv", Encoding(codec="ffv1"))
    (line,) = receipt.left_out
    assert line.what == "closed captions"
    assert "--codec h264" in line.reason


def test_lost_hdr10_plus_is_named(tmp_path: Path) -> None:
    receipt = copy(with_hdr10_plus(tmp_path / "a.hevc"), tmp_path / "b.mkv")
    assert [line.what for line in receipt.left_out] == ["HDR10+ metadata"]


def test_the_lost_view_of_spatial_video_is_named(tmp_path: Path) -> None:
    receipt = copy(make_spatial_video(tmp_path / "a.hevc"), tmp_path / "b.mkv")
    assert [line.what for line in receipt.left_out] == ["second view"]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_ordinary_clips_lose_nothing(tmp_path: Path, name: str) -> None:
    assert not copy(make(tmp_path / name, Recipe()), tmp_path / f"b{name}").left_out
