"""What runs on the CPU runs on another device: nothing is left behind or needs float64, the result is the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import made_clips
import numpy as np
import pytest
import torch
from imaginary_device import DEVICE, Distant, imaginary_device
from tiny_clips import make_clip, pictures
from torch import Tensor

import selfhvd_cli.deblur_video
import selfhvd_cli.deblurring.setup
import selfhvd_cli.training.compute
import selfhvd_cli.video.frame
from selfhvd_cli import deblur
from selfhvd_cli.adapt_network import adapt
from selfhvd_cli.clip import Clip
from selfhvd_cli.device import Compute
from selfhvd_cli.errors import EnvironmentFault
from selfhvd_cli.flow.estimators import ESTIMATORS
from selfhvd_cli.nets.lite import Lite
from selfhvd_cli.pretrain_network import pretrain
from selfhvd_cli.restore.architectures import ARCHITECTURES
from selfhvd_cli.restore.guard import guard
from selfhvd_cli.restore.load import fresh_restorer, load_restorer
from selfhvd_cli.restore.moving_picture import moving_picture
from selfhvd_cli.restore.plan import Plan
from selfhvd_cli.restore.stream import restore_clips
from selfhvd_cli.training.compute import training_compute
from selfhvd_cli.video.encoders import Encoding
from selfhvd_cli.video.pixels import Signal
from selfhvd_cli.weights.reference import parse_reference
from selfhvd_cli.weights.store import find

HERE = Compute(torch.device("cpu"), torch.float32, "as asked")
THERE = Compute(DEVICE, torch.float32, "imagined")


@pytest.fixture
def device() -> Iterator[torch.device]:
    with imaginary_device() as device:
        yield device


def close(one: Tensor, two: Tensor, tolerance: float = 1e-4) -> bool:
    return one.shape == two.shape and float((one.float() - two.float()).abs().max()) < tolerance


@pytest.mark.parametrize("grad", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_networks(name: str, grad: bool) -> None:
    torch.manual_seed(0)
    restorer = fresh_restorer(name, HERE.device).restorer.requires_grad_(True)
    # Smaller than some were trained on, and padded to: every layer is there all the same, and it takes seconds.
    restorer.convention = replace(restorer.convention, min_size=1)
    clip = moving_picture(2, 62, 64).unsqueeze(0)

    def results(clip: Tensor) -> list[Tensor]:
        restorer.zero_grad(set_to_none=True)
        with torch.set_grad_enabled(grad):
            restored = restorer(clip)
            if grad:
                restored.square().mean().backward()
        return [restored.detach(), *(each.grad for each in restorer.parameters() if each.grad is not None)]

    here = results(clip)
    with imaginary_device() as device:
        restorer.to(device)
        there = results(clip.to(device))
        assert all(isinstance(each, Distant) for each in there)
        assert all(close(one, two.cpu()) for one, two in zip(here, there, strict=True))


def test_the_device_refuses_what_was_left_behind(device: torch.device) -> None:
    with pytest.raises(RuntimeError, match="on the CPU"):
        torch.ones(3, device=device) + torch.ones(3)
    with pytest.raises(TypeError, match="float64"):
        torch.ones(3).to(device).double()
    with pytest.raises(RuntimeError, match="numpy"):
        torch.ones(3, device=device).numpy()


@pytest.mark.parametrize(("tile", "together"), [(None, 1), (None, 4), (128, 2)])
def test_a_stream(tile: int | None, together: int) -> None:
    plan = Plan(window=5, overlap=2, tile=tile)
    path = find(parse_reference("lite"))
    assert path is not None
    loaded = load_restorer("lite", "lite", path, HERE.device)
    frames = moving_picture(6, 144, 200)
    frames[::2] = torch.nn.functional.avg_pool2d(frames[::2], (1, 9), 1, (0, 4))
    clips = [Clip(frame.unsqueeze(0), (Fraction(index, 30),)) for index, frame in enumerate(frames)]
    here = list(restore_clips(loaded.restorer, clips, plan, HERE))
    with imaginary_device() as device:
        loaded.restorer.to(device)
        there = list(restore_clips(loaded.restorer, clips, replace(plan, together=together), THERE))
    assert any(each.verdict.strength > 0 for each in here)
    for one, two in zip(here, there, strict=True):
        assert not isinstance(two.frame, Distant)
        assert close(one.frame, two.frame, 2e-3)
        assert one.verdict.reason == two.verdict.reason


def test_the_guard(device: torch.device) -> None:
    frame, other = moving_picture(2, 96, 128)
    sharper = (frame + 0.5 * (frame - torch.roll(frame, 1, 2))).clamp(0, 1)
    for picture in (sharper, other, torch.full_like(frame, torch.nan)):
        here, said = guard(frame, picture)
        there, also = guard(frame.to(device), picture.to(device))
        assert close(here, there.cpu(), 2e-3)
        assert said.reason == also.reason


@pytest.fixture
def erring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`lite` comes out mirrored on the device."""
    forward = Lite.forward

    def mirrored(network: Lite, frames: Tensor, keep: slice | None = None) -> Tensor:
        restored = forward(network, frames, keep)
        return restored.flip(-1) if isinstance(restored, Distant) else restored

    monkeypatch.setattr(Lite, "forward", mirrored)
    monkeypatch.setenv("SELFHVD_CACHE_DIR", str(tmp_path / "cache"))


@pytest.mark.usefixtures("erring")
def test_the_second_of_several_devices_is_tried_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_clip(tmp_path / "clip.mp4", width=128, height=96, sound=False)
    for module in (selfhvd_cli.deblur_video, selfhvd_cli.deblurring.setup):
        monkeypatch.setattr(module, "choose_compute", lambda name, *_: THERE if name == "cuda:1" else HERE)
    with imaginary_device(), pytest.raises(EnvironmentFault, match="cuda:1: it computes wrongly"):
        deblur(clip, devices=("cpu", "cuda:1"))
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".mp4"] == ["clip.mp4"]


@pytest.mark.usefixtures("erring")
def test_a_device_that_computes_wrongly_is_left_and_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_clip(tmp_path / "clip.mp4", width=128, height=96, sound=False)
    monkeypatch.setattr(selfhvd_cli.deblur_video, "choose_compute", lambda *_: THERE)
    said: list[str] = []
    with imaginary_device():
        done = deblur(clip, on_progress=lambda report: said.extend(report.messages))
    assert done.device is not None
    assert done.device.startswith("cpu")
    assert [line for line in said if line.startswith("running on cpu") and "computes wrongly" in line]


@pytest.mark.usefixtures("erring")
def test_no_training_begins_on_a_device_that_computes_wrongly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selfhvd_cli.training.compute, "choose_compute", lambda *_: THERE)
    with imaginary_device():
        compute = training_compute("auto", "auto")
        assert (compute.device.type, "computes wrongly" in compute.reason) == ("cpu", True)
        with pytest.raises(EnvironmentFault, match="cuda: it computes wrongly"):
            training_compute("cuda", "auto")
        with pytest.raises(EnvironmentFault, match="cuda: it computes wrongly"):
            pretrain(tmp_path, tmp_path / "w.safetensors", device="cuda")


@pytest.mark.parametrize("name", ESTIMATORS)
def test_flow(name: str) -> None:
    row = ESTIMATORS[name]
    torch.manual_seed(0)
    network = row.network() if row.network else None
    pair = moving_picture(2, 128, 136).unsqueeze(1)
    here = row.wrap(network.eval() if network else None)(*pair)
    with imaginary_device() as device:
        there = row.wrap(network.to(device) if network else None)(*pair.to(device))
        assert isinstance(there.vectors, Distant)
        assert close(here.vectors, there.vectors.cpu(), 1e-2)


def test_adapting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = made_clips.shaken([0.0, 1.5, 2.0, 1.5] * 6, width=80, height=64)
    clip = made_clips.write_folder(tmp_path / "frames", frames)
    options: dict[str, Any] = {"steps": 2, "crop": 64, "sequence": 4, "batch": 1, "targets": 1, "perceptual": "none"}
    here = adapt(clip, tmp_path / "here.safetensors", device="cpu", precision="fp32", **options)
    monkeypatch.setattr(selfhvd_cli.training.compute, "choose_compute", lambda *_: THERE)
    with imaginary_device():
        there = adapt(clip, tmp_path / "there.safetensors", **options)
    assert there.device.startswith(str(DEVICE))
    assert there.after.score == pytest.approx(here.after.score, abs=0.05)


@pytest.fixture
def converted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The pixel formats of frames of which the processor computed RGB."""
    found: list[str] = []
    convert = selfhvd_cli.video.frame.to_rgb

    def noted(picture: av.VideoFrame, signal: Signal) -> Tensor:
        found.append(picture.format.name)
        return convert(picture, signal)

    monkeypatch.setattr(selfhvd_cli.video.frame, "to_rgb", noted)
    return found


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le", "yuv422p", "gbrp"])
def test_a_whole_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, converted: list[str], pixel_format: str
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", width=128, height=96, pixel_format=pixel_format)
    here = deblur(clip, tmp_path / "here.mkv", device="cpu", precision="fp32", encoding=Encoding("ffv1"))
    converted.clear()
    for module in (selfhvd_cli.deblur_video, selfhvd_cli.deblurring.setup):
        monkeypatch.setattr(module, "choose_compute", lambda *_: THERE)
    with imaginary_device():
        there = deblur(clip, tmp_path / "there.mkv", encoding=Encoding("ffv1"))
    assert (there.device or "").startswith(str(DEVICE))
    assert not converted, "the device computes the RGB that it needs"
    assert here.frames_changed == there.frames_changed > 0
    for one, two in zip(pictures(here.target), pictures(there.target), strict=True):
        assert np.abs(one.astype(int) - two).mean() < 0.1
