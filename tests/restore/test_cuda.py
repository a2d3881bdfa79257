"""What a GPU gives: the picture of the CPU, whole and in order, also when memory or the device itself gives out."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_clips import make_clip, pictures
from torch import Tensor

from selfhvd_cli import deblur
from selfhvd_cli.clip import Clip
from selfhvd_cli.device import Compute, choose_compute
from selfhvd_cli.restore.architectures import ARCHITECTURES
from selfhvd_cli.restore.guard import guard
from selfhvd_cli.restore.load import Loaded, fresh_restorer, load_restorer
from selfhvd_cli.restore.moving_picture import moving_picture
from selfhvd_cli.restore.plan import Plan, choose_plan
from selfhvd_cli.restore.precision import LEAST_PSNR, try_precision
from selfhvd_cli.restore.stream import Restored, restore_clips
from selfhvd_cli.video.encoders import Encoding
from selfhvd_cli.weights.reference import parse_reference
from selfhvd_cli.weights.store import find

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

PLAN = Plan(window=9, overlap=4, scene_cut=False)


def lite(device: torch.device) -> Loaded:
    path = find(parse_reference("lite"))
    assert path is not None
    return load_restorer("lite", "lite", path, device)


def restored(compute: Compute, count: int = 14, plan: Plan = PLAN) -> list[Restored]:
    grain = 0.05 * torch.rand(count, 3, 144, 200, generator=torch.Generator().manual_seed(2))
    frames = (moving_picture(count, 144, 200) + grain).clamp(0, 1)
    clips = [Clip(frame.unsqueeze(0), (Fraction(index, 30),)) for index, frame in enumerate(frames)]
    return list(restore_clips(lite(compute.device).restorer, clips, plan, compute))


def psnr(one: Tensor, two: Tensor) -> float:
    return float(-10 * torch.log10((one - two).square().mean()))


def test_the_picture_is_that_of_the_cpu() -> None:
    there = restored(choose_compute("cuda", "fp32"))
    here = restored(choose_compute("cpu", "fp32"))
    assert [each.time for each in there] == [each.time for each in here]
    assert all(each.frame.device.type == "cpu" for each in there)
    worst = min(psnr(one.frame, two.frame) for one, two in zip(there, here, strict=True))
    assert worst > 45.0, "convolutions there round to TF32"


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_half_precision_keeps_the_picture_of_fresh_networks(name: str) -> None:
    compute = choose_compute("cuda", "fp16")
    if compute.dtype not in ARCHITECTURES[name].precisions:
        pytest.skip("the network is known to need more")
    assert try_precision(fresh_restorer(name, compute.device), compute).psnr > LEAST_PSNR


def test_the_same_run_twice_gives_the_same_bits() -> None:
    compute = choose_compute("cuda")
    once, again = restored(compute), restored(compute)
    assert all(torch.equal(one.frame, two.frame) for one, two in zip(once, again, strict=True))


def test_the_guard_judges_as_on_the_cpu() -> None:
    frame, other = moving_picture(2, 96, 128)
    sharper = (frame + 0.5 * (frame - torch.roll(frame, 1, 2))).clamp(0, 1)
    for picture in (sharper, other, torch.full_like(frame, torch.nan)):
        here, said = guard(frame, picture)
        there, also = guard(frame.cuda(), picture.cuda())
        assert psnr(here, there.cpu()) > 60.0 or torch.equal(here, there.cpu())
        assert said.reason == also.reason


def test_too_little_memory_means_smaller_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    compute = choose_compute("cuda")
    loaded = lite(compute.device)
    genuine, failed = loaded.restorer.restore_shots, [0]

    def short_of_memory(*arguments: object) -> Tensor:
        if not failed[0]:
            failed[0] = 1
            torch.empty(1 << 50, dtype=torch.uint8, device=compute.device)
        return genuine(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loaded.restorer, "restore_shots", short_of_memory)
    clips = [Clip(frame.unsqueeze(0), (Fraction(n, 30),)) for n, frame in enumerate(moving_picture(6, 144, 200))]
    results = list(restore_clips(loaded.restorer, clips, PLAN, compute))
    assert len(results) == 6
    assert "out of memory" in " ".join(event for each in results for event in each.events)


def test_a_run_left_early_leaves_no_thread_and_no_memory() -> None:
    import threading

    compute = choose_compute("cuda")
    loaded = lite(compute.device)
    torch.cuda.synchronize()
    before, threads = torch.cuda.memory_allocated(), threading.active_count()
    clips = (Clip(torch.rand(1, 3, 144, 200), (Fraction(n, 30),)) for n in range(10_000))
    stream = restore_clips(loaded.restorer, clips, PLAN, compute)
    assert isinstance(stream, Iterator)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    del stream, clips
    assert threading.active_count() == threads
    torch.cuda.synchronize()
    assert torch.cuda.memory_allocated() - before < 64 << 20


def test_a_plan_counts_the_memory_of_the_device() -> None:
    compute = choose_compute("cuda")
    plan = choose_plan(ARCHITECTURES["lite"], 1080, 1920, compute)
    assert plan.tile is None or torch.cuda.mem_get_info()[0] < 8 << 30


def test_a_whole_clip(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    report = deblur(clip, tmp_path / "out.mkv", device="cuda", encoding=Encoding("ffv1"))
    assert report.frames == 8
    assert (report.device or "").startswith("cuda")
    alone = deblur(clip, tmp_path / "cpu.mkv", device="cpu", precision="fp32", encoding=Encoding("ffv1"))
    for one, two in zip(pictures(report.target), pictures(alone.target), strict=True):
        assert np.abs(one.astype(int) - two).mean() < 1.0


def test_two_processes_on_one_gpu_give_what_one_gives(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", sound=False)
    for name, devices in (("one", ()), ("two", ("cuda:0", "cuda:0"))):
        deblur(clip, tmp_path / f"{name}.mkv", window=5, device="cuda:0" if not devices else "auto",
               devices=devices, encoding=Encoding("ffv1"))  # fmt: skip
    # A process of several restores other frames together, which a GPU may round otherwise.
    one, two = (np.asarray(pictures(tmp_path / f"{name}.mkv"), dtype=int) for name in ("one", "two"))
    assert np.abs(one - two).mean() < 0.1


def test_a_hardware_encoder_that_does_not_open_is_replaced(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", width=256, height=256)
    report = deblur(clip, tmp_path / "out.mp4", device="cuda", encoding=Encoding("h264", hardware=True))
    assert len(pictures(report.target)) == 8
