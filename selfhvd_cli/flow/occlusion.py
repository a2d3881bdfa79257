"""Where an aligned picture can be believed: the method's masks from both directions of flow."""

from __future__ import annotations

import torch
from torch import Tensor

from selfhvd_cli.flow.estimator import Flow
from selfhvd_cli.ops.warp import coordinates, warp

STRENGTH = 0.5
"""α, which the paper leaves open: a point that misses itself by 1 px keeps 0.61 of its weight, by 3 px 0.01."""


def occlusion_mask(there: Flow, back: Flow, strength: float = STRENGTH) -> Tensor:
    """M_o = exp(-α ‖C - W(W(C, F_ψ→i), F_i→ψ)‖²) of Eq. 5: 1 where going there and back ends where it began.

    C being the coordinates, W(W(C, F_ψ→i), F_i→ψ) at x is x + F_i→ψ(x) + F_ψ→i(x + F_i→ψ(x)). A point that leaves
    the picture has no way back; it gets 0, which the formula leaves open.

    Args:
        there: flow from the picture the mask is for, i, to the other one, ψ.
        back: flow from ψ to i.
        strength: α, per squared pixel.

    Returns:
        `[B, 1, H, W]` in [0, 1].
    """
    height, width = there.vectors.shape[-2:]
    missed = there.vectors + warp(back.vectors, there.vectors)
    mask = torch.exp(-strength * missed.square().sum(1, keepdim=True))
    x, y = (coordinates(height, width, there.vectors) + there.vectors).split(1, dim=1)
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return mask * inside


def uncertainty_mask(there: Flow, back: Flow) -> Tensor:
    """M_u = exp(-U_i→ψ) ⊙ exp(-U_ψ→i warped to i) of Eq. 4, with exp(-U) the estimator's confidence.

    SEA-RAFT's U is the expected log scale of its error mixture (`nets/searaft/uncertainty.py`); of an estimator
    without uncertainty M_u is 1 everywhere.

    Returns:
        `[B, 1, H, W]` in [0, 1].
    """
    # U is what is warped, as the equation has it, not exp(-U): between pixels the two differ.
    uncertainty = -torch.log(back.confidence.clamp_min(1e-9))
    return there.confidence * torch.exp(-warp(uncertainty, there.vectors))
