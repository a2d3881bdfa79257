"""The deblurring story on whole files: one frame out per frame in, sharper, everything else as it was."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_clips import (
    Sharpen,
    frame_times,
    make_clip,
    make_frames,
    packets,
    pictures,
    use_sharpen,
)

import selfhvd_cli
from selfhvd_cli import deblur
from selfhvd_cli.deblur_video import deblur_steps
from selfhvd_cli.deblurring.job import DeblurJob, default_target
from selfhvd_cli.deblurring.report import Progress
from selfhvd_cli.deblurring.setup import plan_deblur
from selfhvd_cli.errors import InputFault, UsageFault, WeightsFault
from selfhvd_cli.restore.guard import ELSEWHERE, NO_NUMBERS
from selfhvd_cli.video.encoders import Encoding
from selfhvd_cli.video.pixels import to_rgb
from selfhvd_cli.weights.save import save_state_dict


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4")


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_sharpen(monkeypatch, tmp_path)


def test_the_public_name_is_the_story() -> None:
    assert selfhvd_cli.deblur is deblur


def test_a_restored_clip_is_sharper_and_otherwise_the_same(clip: Path, weights: Path) -> None:
    reports: list[Progress] = []
    report = deblur(clip, weights=weights, device="cpu", precision="fp32", on_progress=reports.append)

    target = clip.with_name("clip_deblurred.mp4")
    assert report.target == target
    assert frame_times(target) == frame_times(clip)
    assert packets(target, "audio") == packets(clip, "audio")
    assert report.frames == report.frames_changed == 8
    assert report.bytes_after == target.stat().st_size
    detail = [float(np.abs(np.diff(picture.astype(float), axis=1)).mean()) for picture in pictures(target)]
    before = [float(np.abs(np.diff(picture.astype(float), axis=1)).mean()) for picture in pictures(clip)]
    assert all(new > 1.05 * old for new, old in zip(detail, before, strict=True))
    assert report.model == "lite"
    assert report.weights == str(weights)
    assert len(report.weights_sha256 or "") == 64
    assert [each.phase for each in reports][0 :: len(reports) - 1] == ["prepare", "done"]
    assert "cpu" in reports[0].messages[0]
    assert set(report.stage_seconds) == {"decode", "restore", "encode"}
    assert any("frames" in line["what"] for line in report.receipt["kept"])


def test_strength_zero_loads_no_network_and_keeps_every_pixel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("a network was loaded")

    monkeypatch.setattr("selfhvd_cli.deblurring.setup.load_restorer", refuse)
    clip = make_clip(tmp_path / "clip.mp4", sound=False)
    report = deblur(clip, tmp_path / "same.mkv", strength=0.0, encoding=Encoding("ffv1"))
    assert (report.frames, report.frames_changed, report.model) == (8, 0, None)
    assert np.array_equal(pictures(tmp_path / "same.mkv"), pictures(clip))


def test_frames_that_the_guard_left_alone_reach_the_writer_as_decoded(
    clip: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sharpen, "forward", lambda self, frames: torch.full_like(frames, float("nan")))
    report = deblur(clip, weights=weights, device="cpu", precision="fp32")
    assert report.frames == 8
    assert report.frames_changed == 0
    assert sum(report.reasons.values()) == 8


def test_frames_held_back_alike_are_counted_together_and_the_most_frequent_reason_is_named_first(
    clip: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def moved(network: Sharpen, frames: torch.Tensor) -> torch.Tensor:
        """The first frame of a window no numbers, every other moved, farther and farther."""
        rolled = [torch.roll(frames[:, index], 1 + index % 4, -1) for index in range(frames.shape[1])]
        return torch.stack([torch.full_like(rolled[0], float("nan")), *rolled[1:]], dim=1)

    monkeypatch.setattr(Sharpen, "forward", moved)
    report = deblur(clip, weights=weights, device="cpu", precision="fp32")
    assert list(report.reasons) == [ELSEWHERE, NO_NUMBERS]
    assert report.reasons[ELSEWHERE] > report.reasons[NO_NUMBERS]
    assert sum(report.reasons.values()) == 8


def test_the_rgb_of_a_frame_is_computed_once(clip: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[object] = []

    def counted(*arguments: object) -> torch.Tensor:
        computed.append(arguments)
        return to_rgb(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("selfhvd_cli.video.frame.to_rgb", counted)
    report = deblur(clip, weights=weights, device="cpu", precision="fp32")
    assert report.frames_changed == len(computed) == 8


def test_half_the_strength_is_half_the_change(tmp_path: Path, weights: Path) -> None:
    source = make_frames(tmp_path / "frames")
    for name, strength in (("half", 0.5), ("whole", 1.0)):
        deblur(source, tmp_path / name, weights=weights, strength=strength, device="cpu", precision="fp32")
    first = [_picture(tmp_path / name / "0002.png") for name in ("frames", "half", "whole")]
    half, whole = np.abs(first[1] - first[0]).mean(), np.abs(first[2] - first[0]).mean()
    assert half == pytest.approx(whole / 2, rel=0.15)


def test_a_folder_of_frames_in_and_out(tmp_path: Path, weights: Path) -> None:
    source = make_frames(tmp_path / "frames")
    report = deblur(source, weights=weights, device="cpu", precision="fp32")
    target = tmp_path / "frames_deblurred"
    assert report.target == target
    assert sorted(os.listdir(target)) == sorted(os.listdir(source))


@pytest.mark.parametrize(
    ("start", "duration", "wanted"),
    [
        ("2f", "3f", slice(2, 5)),
        (None, "3f", slice(0, 3)),
        ("5f", None, slice(5, None)),
        ("0.1s", None, slice(3, None)),
        ("0.1s", "2f", slice(3, 5)),
        (0.0, 0.1, slice(0, 3)),
    ],
)
def test_part_of_a_clip_by_frames_and_by_seconds(
    clip: Path, tmp_path: Path, start: str | None, duration: str | None, wanted: slice
) -> None:
    # Frames are counted on the clip's own clock: at 1/30 s a frame, the third one would be another.
    deblur(clip, tmp_path / "part.mp4", strength=0.0, start=start, duration=duration)
    all_times = frame_times(clip)
    kept = frame_times(tmp_path / "part.mp4")
    assert len(kept) == len(all_times[wanted])
    spacing = [float(time - all_times[wanted][0]) for time in all_times[wanted]]
    assert [float(time - kept[0]) for time in kept] == pytest.approx(spacing, abs=1e-6)


def test_a_start_behind_the_end_is_said(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(InputFault, match=r"8 frames"):
        deblur(clip, tmp_path / "part.mp4", strength=0.0, start="8f")
    with pytest.raises(InputFault, match=r"no frame"):
        deblur(clip, tmp_path / "part.mp4", strength=0.0, start="1:00")
    assert not list(tmp_path.glob("part*"))


def test_giving_up_half_way_leaves_the_old_output_and_nothing_else(clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "old.mp4"
    target.parent.mkdir()
    target.write_bytes(b"an old result")
    steps = deblur_steps(DeblurJob(clip, target, strength=0.0, overwrite=True))
    for step in steps:
        if step.phase == "deblur":
            assert len(list(target.parent.iterdir())) == 2
            break
    steps.close()
    assert [path.name for path in target.parent.iterdir()] == ["old.mp4"]
    assert target.read_bytes() == b"an old result"


def test_a_fault_of_the_network_leaves_nothing_behind(
    clip: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Sharpen, frames: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("a defect")

    monkeypatch.setattr(Sharpen, "forward", fail)
    with pytest.raises(RuntimeError, match="a defect"):
        deblur(clip, tmp_path / "out.mp4", weights=weights)
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize("name", ["a:b:.mp4", "-h.mp4", "d\udcff.mp4"], ids=["colons", "like an option", "no UTF-8"])
def test_odd_names_are_names(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    clip.rename(name)
    done = deblur(name, strength=0)
    assert done.target == default_target(Path(name))
    assert done.target.exists()


def test_weights_of_what_restores_no_videos_are_refused_without_advice_to_use_it(clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_state_dict(path, {"head.weight": torch.zeros(2, 2)}, {"architecture": "musiq"})
    with pytest.raises(WeightsFault, match=r"belong to musiq.*they restore no videos"):
        deblur(clip, tmp_path / "out.mp4", weights=path)


def test_weights_of_another_network_are_refused_by_name(clip: Path, weights: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsFault, match=r"belong to lite.*--model lite"):
        deblur(clip, tmp_path / "out.mp4", model="ifirnn", weights=weights)
    assert not list(tmp_path.glob("out*"))


def test_a_wrong_dial_is_refused_even_where_no_network_runs(clip: Path) -> None:
    with pytest.raises(UsageFault, match="banana"):
        deblur(clip, strength=0.0, device="banana")
    with pytest.raises(UsageFault, match="banana"):
        deblur(clip, strength=0.0, model="banana")


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"max_memory": 0}])
def test_numbers_that_mean_nothing_are_refused_from_python_too(clip: Path, tmp_path: Path, wrong: dict) -> None:
    with pytest.raises(UsageFault, match=str(next(iter(wrong.values())))):
        deblur(clip, tmp_path / "out.mp4", **wrong)


def test_the_plan_names_what_a_run_would_do_and_touches_nothing(clip: Path, weights: Path) -> None:
    before = sorted(clip.parent.iterdir())
    plan = plan_deblur(DeblurJob(clip, default_target(clip), weights=str(weights), device="cpu", precision="fp32"))
    assert sorted(clip.parent.iterdir()) == before
    assert (plan.size, plan.frames, plan.model) == ((80, 64), 8, "lite")
    assert plan.seconds is not None
    assert plan.seconds > 0
    assert plan.memory > 80 * 64 * 3 * 4 * 4
    assert plan.notes == ()


def test_the_plan_of_absent_weights_fetches_nothing(
    clip: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SELFHVD_WEIGHTS_DIR", str(tmp_path / "store"))
    plan = plan_deblur(DeblurJob(clip, default_target(clip), model="estrnn", window=1, device="cpu"))
    assert "not in the store" in plan.notes[0]
    assert not (tmp_path / "store").exists()


def test_default_targets() -> None:
    assert default_target(Path("a/IMG_1.MOV")) == Path("a/IMG_1_deblurred.MOV")
    assert default_target(Path("a/old.mpg")) == Path("a/old_deblurred.mkv")


def _picture(path: Path) -> np.ndarray:
    import cv2

    picture = cv2.imread(str(path))
    assert picture is not None
    return picture.astype(np.float32)
