"""SCSCM, self-constrained spatial consistency maintenance: stay where an earlier network was (Eqs. 9 and 10)."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from selfhvd_cli.device import Compute
from selfhvd_cli.restore.restorer import Restorer
from selfhvd_cli.training.config import AdaptConfig
from selfhvd_cli.training.probes import Look
from selfhvd_cli.training.restoring import restore_targets


class History:
    """The network θ_k of an earlier step, whose outputs are still aligned with the input."""

    def __init__(self, restorer: Restorer, look: Look) -> None:
        """
        Args:
            restorer: the current network; it is copied.
            look: of its outputs on the blurry probes.
        """
        self.restorer = copy.deepcopy(restorer).eval().requires_grad_(False)
        self.sharpness = look.sharpness
        self.refreshes = 0

    def consider(self, restorer: Restorer, look: Look, config: AdaptConfig) -> bool:
        """Replace θ_k by the current network if its output is aligned with the input and sharper than θ_k's.

        Returns:
            Whether it was replaced; at most `config.refreshes` times.
        """
        aligned = look.shift < config.aligned_below
        if self.refreshes >= config.refreshes or not aligned or not look.sharpness > self.sharpness:
            return False
        self.restorer.load_state_dict(restorer.state_dict())
        self.sharpness = look.sharpness
        self.refreshes += 1
        return True

    @torch.no_grad()
    def output(self, frames: Tensor, keep: Sequence[slice], compute: Compute) -> Tensor:
        """sg(D(V; θ_k)) at the targets, `[B, K, 3, h, w]` (Eq. 9)."""
        return restore_targets(self.restorer, frames, keep, compute)

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs."""
        network = {key: value.detach().clone() for key, value in self.restorer.state_dict().items()}
        return {"network": network, "sharpness": self.sharpness, "refreshes": self.refreshes}

    @staticmethod
    def resume(restorer: Restorer, state: Mapping[str, Any]) -> History:
        """The history of an interrupted run."""
        history = History(restorer, Look(state["sharpness"], 0.0))
        history.restorer.load_state_dict(state["network"])
        history.refreshes = state["refreshes"]
        return history


def consistency_loss(output: Tensor, earlier: Tensor) -> Tensor:
    """L_sc of Eq. 10: ‖D(V; θ) − sg(D(V; θ_k))‖₁, the mean over pixels; `[N]` for `[N, 3, H, W]`."""
    return (output - earlier).abs().mean(dim=(1, 2, 3))
