"""Exponential moving average of a network's parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Average:
    """Follows a network; early on the average is shorter, so that the first steps do not linger in it."""

    def __init__(self, network: nn.Module, decay: float = 0.999) -> None:
        self.decay = decay
        self.values: dict[str, Tensor] = {k: v.detach().clone().float() for k, v in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the parameters after optimizer step `step`, counted from 0."""
        decay = min(self.decay, (step + 1) / (step + 10))
        for key, value in network.state_dict().items():
            self.values[key].lerp_(value.float(), 1.0 - decay)
