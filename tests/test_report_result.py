"""report: one page of a run, with its settings and its receipt, also of a part of a clip."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_clips import make_clip, make_frames, use_sharpen

from selfhvd_cli import deblur, report


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    return use_sharpen(monkeypatch, tmp_path)


def test_a_page_tells_what_was_done(tmp_path: Path, weights: Path) -> None:
    done = deblur(make_clip(tmp_path / "a <b>.mp4"), tmp_path / "out.mp4", weights=weights)
    made = report(done, tmp_path / "page.html", details={"Command": ["selfhvd deblur a"]}, offline=True)
    assert made.frames == 8
    assert made.report is not None
    sharper = made.report.videos[1].of("sharpness")
    assert sharper is not None
    assert sharper.direction == "better"
    text = made.target.read_text(encoding="utf-8")
    for words in (
        "a &lt;b&gt;.mp4, before and after", "network: lite", str(done.weights_sha256), "8 of 8 frames, strength",
        "kept: 8 frames", "bit-identical", "<h2>Command</h2>", "<h2>Settings</h2>", "<h2>Receipt</h2>",
    ):  # fmt: skip
        assert words in text


def test_a_part_is_shown_beside_its_own_input(tmp_path: Path, weights: Path) -> None:
    done = deblur(make_clip(tmp_path / "clip.mp4"), tmp_path / "out.mp4", weights=weights, start="3f", duration="4f")
    made = report(done, tmp_path / "page.html", start="3f", duration="4f", offline=True)
    assert made.frames == 4
    assert made.report is not None
    shift = made.report.videos[1].of("shift")
    assert shift is not None
    assert shift.interval.mean < 0.5, "the frames belong together: the scene moves by 4 px a frame"


def test_folders_of_frames_have_pages_too(tmp_path: Path, weights: Path) -> None:
    done = deblur(make_frames(tmp_path / "frames"), tmp_path / "out", weights=weights)
    assert report(done, tmp_path / "page.html", offline=True).frames == 5
