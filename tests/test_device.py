"""The device of a run: one that is there and works, or a word about why not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner
from tiny_clips import Sharpen, make_clip, use_sharpen

from selfhvd_cli.cli import selfhvd
from selfhvd_cli.device import choose_compute
from selfhvd_cli.errors import EnvironmentFault, UsageFault


@pytest.fixture
def broken_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU that torch finds and has no code for."""

    def refuse(*size: int, device: torch.device) -> torch.Tensor:
        raise RuntimeError(
            "CUDA error: no kernel image is available for execution on the device\nCUDA kernel errors…"
        )

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch, "ones", refuse)


@pytest.mark.usefixtures("broken_gpu")
def test_a_gpu_that_does_not_work_is_left_for_the_cpu() -> None:
    chosen = choose_compute("auto")
    assert chosen.device.type in ("cpu", "mps")
    assert "no kernel image" in chosen.reason or chosen.device.type == "mps"


@pytest.mark.usefixtures("broken_gpu")
def test_a_gpu_that_was_asked_for_and_does_not_work_ends_the_run() -> None:
    with pytest.raises(EnvironmentFault, match=r"cuda:0: it does not work \(CUDA error: no kernel image.*cpu"):
        choose_compute("cuda:0")


@pytest.fixture
def apple_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """An Apple GPU, whose tensors lie on the CPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    for name in ("ones", "zeros"):
        made = getattr(torch, name)
        monkeypatch.setattr(torch, name, lambda *size, device, made=made, **options: made(*size, **options))


@pytest.mark.usefixtures("apple_gpu")
def test_an_apple_gpu_that_works_is_taken() -> None:
    assert choose_compute("auto").device == choose_compute("mps").device == torch.device("mps", 0)


def test_a_device_is_named_as_tensors_on_it_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what lies there already is sent there again, for it never seems to."""
    for name, answer in (("is_available", True), ("current_device", 1), ("device_count", 2)):
        monkeypatch.setattr(torch.cuda, name, lambda answer=answer: answer)
    monkeypatch.setattr(torch.cuda, "get_device_name", str)
    made = torch.ones
    monkeypatch.setattr(torch, "ones", lambda *size, device, **options: made(*size, **options))
    assert choose_compute("cuda").device == torch.device("cuda", 1)
    assert choose_compute("cuda:0").device == torch.device("cuda", 0)


@pytest.mark.usefixtures("apple_gpu")
@pytest.mark.parametrize(("owner", "operation"), [(F, "grid_sample"), (torch.Tensor, "kthvalue"), (torch, "sinc")])
def test_an_apple_gpu_for_which_torch_lacks_operations_is_left_for_the_cpu(
    monkeypatch: pytest.MonkeyPatch, owner: object, operation: str
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise NotImplementedError(f"The operator 'aten::{operation}' is not implemented for the MPS device.")

    monkeypatch.setattr(owner, operation, refuse)
    left = choose_compute("auto")
    assert left.device == torch.device("cpu")
    assert f"torch {torch.__version__} lacks operations" in left.reason
    with pytest.raises(EnvironmentFault, match=r"mps: it does not work .*--device cpu"):
        choose_compute("mps")


@pytest.mark.parametrize("name", ["gpu", "tpu:0", "meta"])
def test_what_is_no_device_is_refused(name: str) -> None:
    with pytest.raises(UsageFault, match=name):
        choose_compute(name)


def test_half_precision_needs_a_gpu() -> None:
    with pytest.raises(UsageFault, match="fp16"):
        choose_compute("cpu", "fp16")


def test_a_gpu_that_fails_in_the_middle_ends_the_run_with_word_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    weights = use_sharpen(monkeypatch, tmp_path)
    clip = make_clip(tmp_path / "clip.mp4", sound=False)

    def fall_off_the_bus(network: Sharpen, frames: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("CUDA error: unspecified launch failure\nCompile with `TORCH_USE_CUDA_DSA`…")

    monkeypatch.setattr(Sharpen, "forward", fall_off_the_bus)
    # In float32 nothing is tried beforehand, so that it fails in the middle.
    command = ["deblur", str(clip), "--weights", str(weights), "--precision", "fp32"]
    result = CliRunner().invoke(selfhvd, command)
    assert result.exit_code == 3, result.stderr
    assert "the GPU failed in the middle (CUDA error: unspecified launch failure)" in result.stderr
    assert "--device cpu" in result.stderr
    assert "Traceback" not in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "sharpen.safetensors"]
