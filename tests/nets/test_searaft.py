"""SEA-RAFT takes any size, large volumes by rows, and published files with or without their doubled names."""

from __future__ import annotations

import math

import pytest
import torch
from parity import fill_by_rule

from selfhvd_cli.nets.searaft import SMALL, SeaRaft, mean_log_scale
from selfhvd_cli.ops import all_pairs


@pytest.fixture(scope="module")
def network() -> SeaRaft:
    counters = [key for key in SeaRaft(SMALL).state_dict() if key.endswith("num_batches_tracked")]
    module = fill_by_rule(SeaRaft(SMALL), constant_keys=counters)
    assert isinstance(module, SeaRaft)
    return module


def pair(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    pictures = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    return pictures[:1], pictures[1:]


@pytest.mark.parametrize("size", [(16, 19), (131, 128)])
def test_any_size(network: SeaRaft, size: tuple[int, int]) -> None:
    with torch.no_grad():
        predictions = network.predictions(*pair(*size))
        last = network(*pair(*size))
    assert len(predictions) == 5
    assert last.flow.shape == (1, 2, *size)
    assert last.info.shape == (1, 4, *size)
    assert torch.equal(last.flow, predictions[-1].flow)
    assert not torch.equal(last.flow, predictions[0].flow)


def test_a_volume_made_by_rows_is_the_same(network: SeaRaft, monkeypatch: pytest.MonkeyPatch) -> None:
    images = pair(128, 144)
    with torch.no_grad():
        kept = network(*images).flow
        monkeypatch.setattr(all_pairs, "KEEP_BYTES", 0)
        monkeypatch.setattr(all_pairs, "CHUNK_BYTES", 100_000)
        by_rows = network(*images).flow
    assert (kept - by_rows).abs().max() < 1e-3


@pytest.mark.parametrize("dropped", [".bn3.", ".downsample.1."])
def test_files_that_keep_shared_tensors_once_load(network: SeaRaft, dropped: str) -> None:
    state = {key: tensor for key, tensor in network.state_dict().items() if dropped not in key}
    assert len(state) < len(network.state_dict())
    other = SeaRaft(SMALL)
    other.load_state_dict(state, strict=True)
    assert all(torch.equal(other.state_dict()[key], tensor) for key, tensor in network.state_dict().items())


def test_a_missing_key_is_still_missing(network: SeaRaft) -> None:
    state = {key: tensor for key, tensor in network.state_dict().items() if ".bn3.weight" not in key}
    state = {key: tensor for key, tensor in state.items() if ".downsample.1.weight" not in key}
    with pytest.raises(RuntimeError, match="Missing key"):
        SeaRaft(SMALL).load_state_dict(state, strict=True)


def test_uncertainty_is_the_expected_log_scale() -> None:
    # Equal weights, a scale of e^4 px against 1 px; all weight on the ordinary component; beyond both bounds.
    info = torch.tensor(
        [[0.0, 0.0, 4.0, -7.0], [-40.0, 40.0, 4.0, 0.0], [40.0, -40.0, 25.0, 0.0], [9.0, 0.0, -3.0, 5.0]]
    )
    expected = torch.tensor([2.0, 0.0, 10.0, 0.0])
    assert torch.allclose(mean_log_scale(info.view(4, 4, 1, 1)).flatten(), expected, atol=1e-6)
    assert math.isclose(torch.exp(-mean_log_scale(info[:1].view(1, 4, 1, 1))).item(), math.exp(-2), rel_tol=1e-5)
