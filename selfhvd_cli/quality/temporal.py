"""Temporal stability: what changes from frame to frame besides the motion (warping error, Lai et al., ECCV 2018)."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.ops.warp import warp

LONGEST = 960
"""Longer side in pixels at which it is measured: flicker shows at any size, and flow costs by the pixel."""

FlowFunction = Callable[[Tensor, Tensor], Tensor]
"""Flow `[1, 2, H, W]` from one `[1, 3, H, W]` picture to another."""


def warping_error(current: Tensor, following: Tensor, flow: FlowFunction) -> float:
    """Mean absolute difference between a frame and its successor brought onto it, in 8-bit codes.

    Places that are hidden in one of the frames are left out, found by the flows there and back. A blurred clip has
    less to differ by than a sharp one: compare clips of like sharpness, or read it beside the sharpness.

    Args:
        current, following: consecutive frames `[3, H, W]`, RGB in [0, 1].
        flow: finds the motion between them.
    """
    here, there = _small(current), _small(following)
    forth, back = flow(here, there), flow(there, here)
    visible = _visible(forth, back)
    difference = (here - warp(there, forth)).abs().mean(dim=1, keepdim=True)
    return float((difference * visible).sum() / visible.sum().clamp(min=1)) * 255.0


def _visible(forth: Tensor, back: Tensor) -> Tensor:
    """1 where going there and coming back ends where it began (Sundaram et al., 2010), within the picture."""
    returned = warp(back, forth)
    gap = (forth + returned).square().sum(dim=1, keepdim=True)
    allowed = 0.01 * (forth.square() + returned.square()).sum(dim=1, keepdim=True) + 0.5
    inside = warp(torch.ones_like(forth[:, :1]), forth, padding="zeros")
    return ((gap < allowed) & (inside > 0.999)).to(forth.dtype)


def _small(frame: Tensor) -> Tensor:
    picture = frame.unsqueeze(0).float()
    factor = max(picture.shape[-2:]) / LONGEST
    if factor <= 1:
        return picture
    size = [max(16, round(side / factor)) for side in picture.shape[-2:]]
    return F.interpolate(picture, size=size, mode="area")
