"""Half precision is used where the picture survives it; that is tried once a machine, network and weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from imaginary_device import imaginary_device
from torch import Tensor, nn

from selfhvd_cli.device import Compute
from selfhvd_cli.errors import EnvironmentFault
from selfhvd_cli.restore.architectures import ARCHITECTURES, Architecture
from selfhvd_cli.restore.arrange import arrange
from selfhvd_cli.restore.guard import guard
from selfhvd_cli.restore.load import Loaded
from selfhvd_cli.restore.precision import check_device, settle_precision, try_precision
from selfhvd_cli.restore.restorer import Convention

HALF = Compute(torch.device("cpu"), torch.bfloat16, "a test")


class Chain(nn.Module):
    """The frames, and `amount` times a convolution of them."""

    def __init__(self, amount: float = 0.1) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.amount = amount
        self.calls = 0

    def forward(self, frames: Tensor) -> Tensor:
        self.calls += 1
        return frames + self.amount * self.conv(frames.flatten(0, 1)).view_as(frames)


ROW = Architecture("none:Chain", Convention(), 4, 2, 16, 100, 50)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SELFHVD_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def loaded(network: nn.Module, row: Architecture = ROW, sha256: str = "a" * 64) -> Loaded:
    return Loaded(row.restorer(network), row, "chain", "chain.safetensors", sha256)


def test_a_network_that_stands_it_runs_in_half_precision() -> None:
    assert settle_precision(loaded(Chain()), HALF) == HALF


def test_a_network_that_does_not_goes_to_float32() -> None:
    assert not try_precision(loaded(Chain(100.0)), HALF).passed
    assert settle_precision(loaded(Chain(100.0)), HALF) == replace(HALF, dtype=torch.float32)


def test_what_is_not_a_number_goes_to_float32() -> None:
    network = Chain()
    torch.nn.init.constant_(network.conv.weight, float("inf"))
    assert settle_precision(loaded(network), HALF).dtype == torch.float32


def test_it_is_tried_once_for_a_file_of_weights() -> None:
    network = Chain(100.0)
    first = settle_precision(loaded(network), HALF)
    assert network.calls == 2
    assert settle_precision(loaded(network), HALF) == first
    assert network.calls == 2
    assert settle_precision(loaded(Chain(), sha256="b" * 64), HALF) == HALF


@pytest.mark.parametrize("content", ["", "{", '{"psnr": 60}', "[1]"])
def test_a_damaged_memory_is_made_anew(cache: Path, content: str) -> None:
    settle_precision(loaded(Chain()), HALF)
    (remembered,) = (cache / "precision").glob("*.json")
    remembered.write_text(content)
    assert settle_precision(loaded(Chain()), HALF) == HALF
    assert "passed" in remembered.read_text()


def test_a_cache_that_cannot_be_written_is_done_without(cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    assert settle_precision(loaded(Chain(100.0)), HALF).dtype == torch.float32


def test_the_row_of_a_network_may_forbid_it() -> None:
    network = Chain()
    row = replace(ROW, precisions=(torch.float32,))
    assert settle_precision(loaded(network, row), HALF).dtype == torch.float32
    assert network.calls == 0


def test_float32_needs_no_trial() -> None:
    network = Chain()
    exact = replace(HALF, dtype=torch.float32)
    assert settle_precision(loaded(network), exact) == exact
    assert network.calls == 0


class Erring(Chain):
    """Another picture on every device but a CPU."""

    def forward(self, frames: Tensor) -> Tensor:
        return super().forward(frames) + (0.0 if frames.device.type == "cpu" else 0.1)


@pytest.fixture
def gpu() -> Iterator[Compute]:
    with imaginary_device() as device:
        yield Compute(device, torch.float32, "imagined")


def test_a_gpu_that_computes_what_a_cpu_does_is_trusted_and_tried_once(gpu: Compute) -> None:
    network = Chain().to(gpu.device)
    for _ in range(2):
        assert settle_precision(loaded(network), gpu) == gpu
    assert network.calls == 2
    assert network.conv.weight.device == gpu.device


def test_a_gpu_that_computes_something_else_is_left_for_the_cpu(gpu: Compute) -> None:
    network = Erring().to(gpu.device)
    left = settle_precision(loaded(network), gpu)
    assert left.device == network.conv.weight.device == torch.device("cpu")
    assert "computes wrongly, 20 dB" in left.reason


def test_a_gpu_on_which_the_guard_errs_is_left_for_the_cpu(gpu: Compute, monkeypatch: pytest.MonkeyPatch) -> None:
    def erring(frame: Tensor, restored: Tensor) -> tuple[Tensor, object]:
        result, verdict = guard(frame, restored)
        return (result if result.device.type == "cpu" else result.flip(-1)), verdict

    monkeypatch.setattr("selfhvd_cli.restore.precision.guard", erring)
    assert settle_precision(loaded(Chain().to(gpu.device)), gpu).device == torch.device("cpu")


def test_a_gpu_that_was_asked_for_and_computes_something_else_ends_the_run(gpu: Compute) -> None:
    refused = pytest.raises(EnvironmentFault, match=r"--device cuda:1: it computes wrongly.*--device cpu")
    with refused:
        settle_precision(loaded(Erring().to(gpu.device)), gpu, asked="cuda:1")
    with refused:
        check_device(loaded(Erring().to(gpu.device)), gpu, asked="cuda:1")


@pytest.mark.parametrize(
    "fault",
    [
        NotImplementedError("The operator 'aten::rare' is not currently implemented for the MPS device."),
        RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"),
    ],
)
def test_a_gpu_on_which_the_network_fails_is_left_for_the_cpu_until_it_is_mended(
    gpu: Compute, monkeypatch: pytest.MonkeyPatch, fault: RuntimeError
) -> None:
    forward = Chain.forward

    def failing(network: Chain, frames: Tensor) -> Tensor:
        if frames.device.type != "cpu":
            raise fault
        return forward(network, frames)

    with monkeypatch.context() as patch:
        patch.setattr(Chain, "forward", failing)
        left = settle_precision(loaded(Chain().to(gpu.device)), gpu)
        assert left.device == torch.device("cpu")
        assert str(fault) in left.reason
        with pytest.raises(EnvironmentFault, match=r"it fails: .*--device cpu"):
            settle_precision(loaded(Chain().to(gpu.device)), gpu, asked="cuda:0")
    assert settle_precision(loaded(Chain().to(gpu.device)), gpu) == gpu


@pytest.mark.parametrize("model", ["ifirnn", "rvrt"])
def test_arranged_weights_have_the_same_values_in_channels_last_order(model: str) -> None:
    network = ARCHITECTURES[model].build()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    arrange(network, torch.device("cpu"))
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    flat = [p for p in network.parameters() if p.dim() == 4]
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in flat)
