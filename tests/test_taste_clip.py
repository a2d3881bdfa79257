"""taste: the most blurred stretch and no other, before and after, and nothing left behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_clips import make_clip, pictures, use_sharpen

from selfhvd_cli import taste
from selfhvd_cli.errors import InputFault, UsageFault
from selfhvd_cli.taste_clip import TasteProgress


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    return use_sharpen(monkeypatch, tmp_path)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Sharp, then blurred for its last 0.3 s."""
    from made_clips import shaken, write_video

    return write_video(tmp_path / "clip.mp4", shaken([0] * 5 + [3] * 4, 80, 64), sound=True)


def test_the_worst_stretch_beside_its_input(clip: Path, weights: Path, tmp_path: Path) -> None:
    reports: list[TasteProgress] = []
    made = taste(clip, seconds=0.3, weights=str(weights), on_progress=reports.append)
    assert made.target == tmp_path / "clip_taste.mp4"
    assert 0.4 <= made.start < 0.6
    assert made.seconds == pytest.approx(0.3, abs=0.06)
    assert made.report.frames == len(pictures(made.target)) == 3
    assert made.report.sharpness_after.mean > made.report.sharpness_before.mean  # type: ignore[union-attr]
    assert pictures(made.target)[0].shape == (64, 80 * 2 + 4, 3)
    assert made.whole_frames == 9
    assert made.whole_seconds == pytest.approx(3 * made.report.seconds)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "clip_taste.mp4", weights.name]
    assert [*dict.fromkeys(report.phase for report in reports)][0::2][0] == "look"
    assert reports[-1].taste == made


def test_a_short_clip_is_tasted_whole(tmp_path: Path, weights: Path) -> None:
    clip = make_clip(tmp_path / "short.mp4", sound=False)
    made = taste(clip, tmp_path / "here.mp4", weights=weights)
    assert made.report.frames == len(pictures(tmp_path / "here.mp4")) == 8


def test_nothing_is_replaced_unasked(clip: Path, weights: Path, tmp_path: Path) -> None:
    (tmp_path / "clip_taste.mp4").write_bytes(b"mine")
    with pytest.raises(UsageFault, match="--overwrite"):
        taste(clip, seconds=0.3, weights=str(weights))
    assert (tmp_path / "clip_taste.mp4").read_bytes() == b"mine"
    for wrong in ({"seconds": 0}, {"layout": "beside"}):
        with pytest.raises(UsageFault, match=r"give more than 0|choose one of side, split"):
            taste(clip, tmp_path / "new.mp4", weights=weights, **wrong)  # type: ignore[arg-type]
    with pytest.raises(InputFault, match="no such file"):
        taste(tmp_path / "none.mp4")
