"""Every flow estimator of the table keeps the one contract, with any weights."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from parity import fill_by_rule
from torch import Tensor

from selfhvd_cli.errors import UsageFault, WeightsFault
from selfhvd_cli.flow.estimator import FlowEstimator
from selfhvd_cli.flow.estimators import ESTIMATORS, estimator
from selfhvd_cli.flow.flowformerpp import FlowFormerPPEstimator, _starts, _tile_weight
from selfhvd_cli.flow.searaft import SeaRaftEstimator
from selfhvd_cli.nets.flowformerpp import FlowFormerPP
from selfhvd_cli.nets.searaft import SeaRaft, mean_log_scale
from selfhvd_cli.weights.load import load_state_dict
from selfhvd_cli.weights.store import resolve

QUICK = ("sea_raft_s", "raft_large", "flowformerpp", "dis")
"""SEA-RAFT-M is S with more blocks; parity holds it to its numbers."""


def drawn(name: str) -> dict[str, Tensor] | None:
    """Weights by the rule, for the estimators that need some."""
    network = ESTIMATORS[name].network
    if network is None:
        return None
    module = network()
    constant = [key for key, tensor in module.state_dict().items() if not tensor.is_floating_point()]
    return fill_by_rule(module, gain=0.5, constant_keys=constant).state_dict()


@pytest.fixture(scope="module", params=QUICK)
def built(request: pytest.FixtureRequest) -> tuple[str, FlowEstimator]:
    return request.param, ESTIMATORS[request.param].build(drawn(request.param))


def pictures(*shape: int) -> tuple[Tensor, Tensor]:
    both = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    return both[0], both[1]


def test_contract(built: tuple[str, FlowEstimator]) -> None:
    name, find = built
    source, target = pictures(2, 3, 21, 70)
    flow = find(source.requires_grad_(), target)
    assert flow.vectors.shape == (2, 2, 21, 70)
    assert flow.confidence.shape == (2, 1, 21, 70)
    assert flow.vectors.dtype == flow.confidence.dtype == torch.float32
    assert flow.vectors.isfinite().all()
    assert not flow.vectors.requires_grad
    assert (flow.confidence >= 0).all()
    assert (flow.confidence <= 1).all()
    assert ESTIMATORS[name].uncertainty == bool((flow.confidence < 1).any())
    again = find(source, target)
    assert torch.equal(flow.vectors, again.vectors)
    assert torch.equal(flow.confidence, again.confidence)


def test_smallest_size(built: tuple[str, FlowEstimator]) -> None:
    assert built[1](*pictures(1, 3, 16, 16)).vectors.shape == (1, 2, 16, 16)


@pytest.mark.parametrize("name", [name for name, row in ESTIMATORS.items() if row.network])
def test_no_weights_and_wrong_weights_are_told(name: str) -> None:
    with pytest.raises(WeightsFault, match="dis"):
        ESTIMATORS[name].build()
    with pytest.raises(WeightsFault, match=r"missing \d+: .*looks like no network known here"):
        ESTIMATORS[name].build({"some.weight": torch.zeros(1)})


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(UsageFault, match="sea_raft_m, sea_raft_s"):
        estimator("sea-raft")


@pytest.fixture(scope="module")
def sea_raft() -> SeaRaft:
    network = ESTIMATORS["sea_raft_s"].network
    assert network is not None
    module = network()
    module.load_state_dict(drawn("sea_raft_s") or {})
    assert isinstance(module, SeaRaft)
    return module


def test_sea_raft_runs_at_the_official_half_scale(sea_raft: SeaRaft) -> None:
    smooth = torch.nn.functional.interpolate(torch.cat(pictures(1, 3, 40, 48)), scale_factor=4.0, mode="bicubic")
    source, target = smooth[:1], smooth[1:]
    halves = [torch.nn.functional.avg_pool2d(picture, 2) for picture in (source, target)]
    with torch.no_grad():
        half = sea_raft.eval()(*halves)
    flow = SeaRaftEstimator(sea_raft)(source, target)
    assert torch.allclose(flow.vectors[..., ::2, ::2], half.flow * 2, atol=0.2 * half.flow.abs().max().item())
    assert torch.allclose(flow.confidence[..., 1::2, 1::2], torch.exp(-mean_log_scale(half.info)), atol=1e-4)
    whole = SeaRaftEstimator(sea_raft, scale=0)
    assert torch.equal(whole(source, target).vectors, sea_raft(source, target).flow)


@pytest.mark.parametrize("scale", [1, 2])
def test_sea_raft_does_not_enlarge(sea_raft: SeaRaft, scale: int) -> None:
    with pytest.raises(ValueError, match="negative"):
        SeaRaftEstimator(sea_raft, scale)


class OneFlow(FlowFormerPP):
    """Gives every tile the flow that the whole picture has there: its own colours."""

    def __init__(self, seen: Callable[[Tensor], None]) -> None:
        torch.nn.Module.__init__(self)
        self.seen = seen

    def forward(self, image1: Tensor, image2: Tensor) -> tuple[Tensor, Tensor]:
        self.seen(image1)
        return image1[:, :2], image1[:, :2, ::8, ::8]


def test_flowformerpp_tiles_cover_and_blend() -> None:
    sizes: list[tuple[int, ...]] = []
    find = FlowFormerPPEstimator(OneFlow(lambda image: sizes.append(tuple(image.shape[-2:]))))
    source = torch.rand(1, 3, 450, 1000)
    vectors = find(source, source).vectors
    assert (vectors - source[:, :2]).abs().max() < 1e-5
    assert sizes == [(432, 960)] * 4
    assert _starts(1000, 960) == [0, 40]
    assert _starts(1904, 960) == [0, 940, 944]
    assert _tile_weight(432, 960).isfinite().all()
    assert (_tile_weight(432, 960) > 1e-30).all()


def test_the_embedded_networks_flow_is_in_pixels_of_the_picture() -> None:
    noise = torch.Generator().manual_seed(0)
    scene = F.interpolate(torch.rand(1, 3, 40, 60, generator=noise), scale_factor=6, mode="bicubic").clamp(0, 1)
    find = ESTIMATORS["lite"].build(load_state_dict(resolve("lite")))
    # What is in the source at (x, y) is in the target at (x + 9, y - 5).
    flow = find(scene[..., 40:201, 40:230], scene[..., 45:206, 31:221])
    inner = flow.vectors[0, :, 24:-24, 24:-24].flatten(1)
    assert inner.median(dim=1).values.tolist() == pytest.approx([9, -5], abs=0.3)
    assert flow.confidence[0, 0, 24:-24, 24:-24].median() > 0.5
