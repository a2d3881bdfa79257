"""What the output no longer says of its pictures is named in the receipt; what it says is not."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from video_clips import FAST, copy

from selfhvd_cli.video.encoders import Encoding
from selfhvd_cli.video.info import HLG_TRANSFER
from selfhvd_cli.video.probe import probe

HLG: dict[str, Any] = {"codec": "libx265", "pixel_format": "yuv420p10le", "color": (9, HLG_TRANSFER, 9, 1)}
DISPLAY = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,500)"
HDR10: dict[str, Any] = {
    **HLG,
    "color": (9, 16, 9, 1),
    "options": {"x265-params": f"log-level=error:master-display={DISPLAY}:max-cll=1000,400"},
}
ANAMORPHIC: dict[str, Any] = {"sample_aspect_ratio": Fraction(4, 3)}
INTERLACED: dict[str, Any] = {"options": {"flags": "+ildct+ilme", "x264-params": "tff=1"}}
FULL: dict[str, Any] = {"color": (6, 6, 6, 2)}

KEPT: list[tuple[dict[str, Any], str, str]] = [
    (HLG, "hevc", "mkv"),
    (HLG, "hevc", "ts"),
    (HDR10, "av1", "webm"),
    (HDR10, "hevc", "mov"),
    (ANAMORPHIC, "h264", "mkv"),
    (ANAMORPHIC, "prores", "mov"),
    (INTERLACED, "h264", "ts"),
    (INTERLACED, "ffv1", "mkv"),
    (FULL, "h264", "ts"),
    (FULL, "ffv1", "mkv"),
]


@pytest.mark.parametrize(("recipe", "codec", "ending"), KEPT)
def test_what_is_kept_is_not_named(
    clip: Callable[..., Path], recipe: dict[str, Any], codec: str, ending: str
) -> None:
    source = clip("in.mp4", frames=3, sound=False, **recipe)
    receipt = copy(source, source.with_name(f"out.{ending}"), Encoding(codec=codec, preset="ultrafast"))
    assert [str(line) for line in receipt.left_out] == []
    before, after = probe(source), probe(source.with_name(f"out.{ending}"))
    assert (before.hdr, before.color, before.interlaced) == (after.hdr, after.color, after.interlaced)


def test_colours_and_hdr_that_avi_does_not_hold_are_named(clip: Callable[..., Path]) -> None:
    source = clip("in.mp4", frames=3, sound=False, **HLG)
    receipt = copy(source, source.with_name("out.avi"))
    assert probe(source.with_name("out.avi")).hdr is None
    assert not [line for line in receipt.kept if "HDR" in line.what]
    assert [line.what for line in receipt.left_out] == [
        "colour tags (primaries, transfer, matrix)",
        "HDR (HLG, 10 bits)",
    ]


def test_a_full_range_that_nothing_says_any_more_is_named(clip: Callable[..., Path]) -> None:
    source = clip("in.mp4", frames=3, sound=False, **FULL)
    receipt = copy(source, source.with_name("out.avi"))
    assert not probe(source.with_name("out.avi")).signal.full_range
    assert "range" in receipt.left_out[0].what


@pytest.mark.parametrize(("codec", "ending"), [("prores", "mov"), ("ffv1", "mkv")])
def test_lost_hdr10_metadata_is_named(clip: Callable[..., Path], codec: str, ending: str) -> None:
    source = clip("in.mp4", frames=3, sound=False, **HDR10)
    receipt = copy(source, source.with_name(f"out.{ending}"), Encoding(codec=codec))
    assert [line.what for line in receipt.left_out] == ["HDR metadata (mastering display, light level)"]
    assert "HDR (PQ, 10 bits)" in [line.what for line in receipt.kept]


@pytest.mark.parametrize(("codec", "ending"), [("av1", "webm"), ("ffv1", "mkv")])
def test_lost_proportions_are_named(clip: Callable[..., Path], codec: str, ending: str) -> None:
    source = clip("in.mp4", frames=3, sound=False, **ANAMORPHIC)
    receipt = copy(source, source.with_name(f"out.{ending}"), Encoding(codec=codec, preset="ultrafast"))
    assert (probe(source.with_name(f"out.{ending}")).sample_aspect_ratio or 1) == 1
    assert [line.what for line in receipt.left_out] == ["pixel aspect 4:3"]


def test_fields_that_nothing_tells_apart_any_more_are_named(clip: Callable[..., Path]) -> None:
    source = clip("in.mkv", frames=3, sound=False, **INTERLACED)
    assert not copy(source, source.with_name("out.mkv"), FAST).left_out
    receipt = copy(source, source.with_name("out.ts"), Encoding(codec="hevc", preset="ultrafast"))
    assert [line.what for line in receipt.left_out] == ["interlacing"]
