"""score: the right numbers for the right frames, comparisons that hold, and bad input said plainly."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from made_clips import Picture, shaken, texture, write_folder, write_video

from selfhvd_cli.errors import InputFault, UsageFault, WeightsFault
from selfhvd_cli.quality.fidelity import psnr
from selfhvd_cli.quality.report import as_csv
from selfhvd_cli.quality.vmaf import can_vmaf
from selfhvd_cli.score_video import score


@pytest.fixture(autouse=True)
def empty_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFHVD_WEIGHTS_DIR", str(tmp_path / "store"))
    monkeypatch.setenv("SELFHVD_DATA_DIR", str(tmp_path / "data"))


def noisy(frames: list[Picture], amount: int, seed: int = 7) -> list[Picture]:
    generator = np.random.default_rng(seed)
    return [
        (frame.astype(np.int16) + generator.integers(-amount, amount + 1, frame.shape)).clip(0, 255).astype(np.uint8)
        for frame in frames
    ]


def test_against_a_reference(tmp_path: Path) -> None:
    clean = shaken([0] * 6)
    dirty = noisy(clean, 12)
    reference = write_folder(tmp_path / "clean", clean)
    report = score(write_folder(tmp_path / "dirty", dirty), reference, "psnr,ssim,shift")
    (video,) = report.videos
    expected = [
        psnr(torch.from_numpy(a / 255).permute(2, 0, 1), torch.from_numpy(b / 255).permute(2, 0, 1))
        for a, b in zip(dirty, clean, strict=True)
    ]
    found = video.of("psnr")
    assert found is not None
    assert found.frames == tuple(range(6))
    assert found.values == pytest.approx(expected, abs=1e-4)
    assert found.interval.low <= np.mean(expected) <= found.interval.high
    assert video.of("shift").interval.mean < 0.1  # type: ignore[union-attr]


def test_several_videos_get_arrows(tmp_path: Path) -> None:
    blurred = write_folder(tmp_path / "blurred", shaken([1.5] * 6))
    sharp = write_folder(tmp_path / "sharp", shaken([0] * 6))
    report = score([blurred, sharp, blurred], metrics="sharpness,blur,shift")
    first, better, same = report.videos
    assert [one.direction for one in first.scores] == [None, None]
    assert {one.metric.name: one.direction for one in better.scores if one.difference} == {
        "sharpness": "better",
        "blur": "better",
    }
    assert [one.direction for one in same.scores if one.difference] == ["same", "same"]
    assert same.of("shift").interval.mean < 1e-4  # type: ignore[union-attr]


def test_every_other_frame_and_its_successor(tmp_path: Path) -> None:
    clip = write_folder(tmp_path / "clip", shaken([0, 1, 0, 1, 0, 1, 0]))
    report = score(clip, metrics=["sharpness", "temporal"], every=2)
    (video,) = report.videos
    assert video.frames == 7
    assert video.of("sharpness").frames == (0, 2, 4, 6)  # type: ignore[union-attr]
    assert video.of("temporal").frames == (0, 2, 4)  # type: ignore[union-attr]
    lines = list(csv.DictReader(io.StringIO(as_csv(report))))
    assert len(lines) == 7
    assert {float(line["seconds"]) for line in lines} == {float(round(i / 30, 6)) for i in (0, 2, 4, 6)}


def test_the_defaults_need_no_download_and_say_what_they_leave_out(tmp_path: Path) -> None:
    report = score(write_folder(tmp_path / "clip", shaken([0, 1], 96, 64)), offline=True)
    (video,) = report.videos
    assert [one.metric.name for one in video.scores] == ["sharpness", "blur", "piqe", "temporal"]
    assert any("selfhvd weights pull musiq" in note for note in report.notes)
    assert any("selfhvd weights pull maniqa" in note for note in report.notes)


def test_one_frame_has_no_temporal_score(tmp_path: Path) -> None:
    report = score(write_folder(tmp_path / "one", [texture()]), metrics="sharpness,temporal")
    assert [one.metric.name for one in report.videos[0].scores] == ["sharpness"]
    assert any("two frames" in note for note in report.notes)


def test_equal_videos_score_infinite_psnr(tmp_path: Path) -> None:
    clip = write_folder(tmp_path / "clip", shaken([0, 0]))
    found = score(clip, clip, "psnr").videos[0].of("psnr")
    assert found is not None
    assert found.interval.mean == math.inf


@pytest.mark.skipif(bool(can_vmaf()), reason=can_vmaf() or "VMAF is here")
def test_vmaf_tells_good_from_bad(tmp_path: Path) -> None:
    frames = shaken([0] * 4, 96, 80)
    clean = write_video(tmp_path / "it's clean.mp4", frames, sound=True)
    bad = write_video(tmp_path / "bad.mp4", [cv2.GaussianBlur(frame, (0, 0), 2) for frame in frames])
    assert score(clean, clean, "vmaf").videos[0].scores[0].interval.mean > 95
    found = score(bad, clean, "vmaf", every=2).videos[0].scores[0]
    assert found.interval.mean < 70
    assert found.frames == (0, 2)


def test_different_lengths_and_sizes_are_both_said(tmp_path: Path) -> None:
    long = write_folder(tmp_path / "long", shaken([0] * 5))
    short = write_folder(tmp_path / "short", shaken([0] * 3))
    small = write_folder(tmp_path / "small", shaken([0] * 5, 48, 64))
    with pytest.raises(InputFault, match=r"short has 3 frames.*long has 5 frames.*--start"):
        score(short, long, "psnr")
    with pytest.raises(InputFault, match=r"short has 3 frames.*long has 5 frames"):
        score(long, short, "psnr")
    with pytest.raises(InputFault, match=r"small has 48×64 pixels.*long has 64×48.*stores the picture turned"):
        score(small, long, "psnr")
    report = score([long, short], metrics=None, offline=True)
    assert any("without shift of" in note and "3 frames" in note for note in report.notes)
    assert report.videos[1].of("sharpness").frames == (0, 1, 2)  # type: ignore[union-attr]


def test_unknown_metrics_and_missing_references_are_usage(tmp_path: Path) -> None:
    clip = write_folder(tmp_path / "clip", [texture()])
    with pytest.raises(UsageFault, match=r'no metric "psrn".*psnr'):
        score(clip, metrics="psrn")
    with pytest.raises(UsageFault, match=r"musiq"):
        score(clip, metrics="musik")
    with pytest.raises(UsageFault, match="--reference"):
        score(clip, metrics="ssim")
    with pytest.raises(UsageFault, match="second one"):
        score(clip, metrics="shift")
    with pytest.raises(UsageFault, match="it reads video files"):
        score(clip, clip, "vmaf")


@pytest.mark.parametrize(
    ("name", "weights"), [("musiq", "musiq"), ("maniqa", "maniqa"), ("lpips", "alexnet lpips_alex")]
)
def test_absent_weights_offline_say_how_to_pull(tmp_path: Path, name: str, weights: str) -> None:
    clip = write_folder(tmp_path / "clip", [texture()])
    with pytest.raises(WeightsFault, match=f"selfhvd weights pull {weights}$"):
        score(clip, clip, name, offline=True)
