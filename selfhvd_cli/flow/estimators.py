"""The flow estimators by name, one literal row each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from selfhvd_cli.errors import UsageFault, WeightsFault
from selfhvd_cli.flow.estimator import FlowEstimator
from selfhvd_cli.weights.check import check_state_dict


@dataclass(frozen=True)
class Estimator:
    """How one estimator is built and what it gives."""

    network: Callable[[], nn.Module] | None
    """Makes the network with any weights; None where there is none."""

    wrap: Callable[[nn.Module | None], FlowEstimator]
    """Makes the estimator of the network with its weights."""

    uncertainty: bool
    """Whether its confidence tells anything; where it does not, M_u is 1."""

    weights: str | None = None
    """Name of its weights and of its architecture in the manifest; None where it needs none."""

    def build(self, state: Mapping[str, Tensor] | None = None, device: torch.device | None = None) -> FlowEstimator:
        """The estimator, ready to call.

        Args:
            state: the network's state dict with the official keys, as `weights.load` gives it.
            device: where the network runs.

        Raises:
            WeightsFault: the network needs weights and got none, or those of another network.
        """
        if self.network is None:
            return self.wrap(None)
        if state is None:
            raise WeightsFault(
                f"{self.weights or 'this flow estimator'}: it needs its weights and got none; "
                "pull or import them (selfhvd weights), or use the flow estimator dis."
            )
        network = self.network()
        check_state_dict("the flow's weights", self.weights or "", network.state_dict(), state)
        network.load_state_dict(dict(state), strict=True)
        return self.wrap(network.to(device))


def _sea_raft_medium() -> nn.Module:
    from selfhvd_cli.nets.searaft import MEDIUM, SeaRaft

    return SeaRaft(MEDIUM)


def _sea_raft_small() -> nn.Module:
    from selfhvd_cli.nets.searaft import SMALL, SeaRaft

    return SeaRaft(SMALL)


def _wrap_sea_raft(network: nn.Module | None) -> FlowEstimator:
    from selfhvd_cli.flow.searaft import SeaRaftEstimator
    from selfhvd_cli.nets.searaft import SeaRaft

    assert isinstance(network, SeaRaft)
    return SeaRaftEstimator(network)


def _raft() -> nn.Module:
    from torchvision.models.optical_flow import raft_large

    network: nn.Module = raft_large(weights=None)
    return network


def _wrap_raft(network: nn.Module | None) -> FlowEstimator:
    from selfhvd_cli.flow.raft import RaftEstimator

    assert network is not None
    return RaftEstimator(network)


def _flowformerpp() -> nn.Module:
    from selfhvd_cli.nets.flowformerpp import FlowFormerPP

    return FlowFormerPP()


def _wrap_flowformerpp(network: nn.Module | None) -> FlowEstimator:
    from selfhvd_cli.flow.flowformerpp import FlowFormerPPEstimator
    from selfhvd_cli.nets.flowformerpp import FlowFormerPP

    assert isinstance(network, FlowFormerPP)
    return FlowFormerPPEstimator(network)


def _lite() -> nn.Module:
    from selfhvd_cli.nets.lite import Lite

    return Lite()


def _wrap_lite(network: nn.Module | None) -> FlowEstimator:
    from selfhvd_cli.flow.lite import LiteEstimator
    from selfhvd_cli.nets.lite import Lite

    assert isinstance(network, Lite)
    return LiteEstimator(network)


def _dis(network: nn.Module | None) -> FlowEstimator:
    from selfhvd_cli.flow.dis import DisEstimator

    return DisEstimator()


ESTIMATORS: Mapping[str, Estimator] = {
    "sea_raft_m": Estimator(_sea_raft_medium, _wrap_sea_raft, uncertainty=True, weights="sea_raft_m"),
    "sea_raft_s": Estimator(_sea_raft_small, _wrap_sea_raft, uncertainty=True, weights="sea_raft_s"),
    "raft_large": Estimator(_raft, _wrap_raft, uncertainty=False, weights="raft_large"),
    "flowformerpp": Estimator(_flowformerpp, _wrap_flowformerpp, uncertainty=False, weights="flowformerpp"),
    # The embedded network's own flow: learned on blurry pictures, so it holds where the others see no match.
    "lite": Estimator(_lite, _wrap_lite, uncertainty=True, weights="lite"),
    "dis": Estimator(None, _dis, uncertainty=False),
}
"""Name, as the manifest has its weights, to its row."""


def estimator(name: str) -> Estimator:
    """The row of a name.

    Raises:
        UsageFault: there is no such estimator.
    """
    if name not in ESTIMATORS:
        raise UsageFault(f"flow estimator {name}: no such one; choose one of {', '.join(ESTIMATORS)}.")
    return ESTIMATORS[name]
