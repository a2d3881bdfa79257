"""How far one picture lies from another in place, to a hundredth of a pixel, whatever their sharpness."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.ops.sharpness import gray

SMOOTHING = 2.5
"""Standard deviation in pixels of the blur that both pictures get first: what is left differs in place only."""

BLOCK = 32
"""Side in pixels of the squares that are measured one by one, so that opposite movements do not cancel out."""

FAINT = 1e-6
"""Mean squared gradient of a block, for pictures in [0, 1], up to which it is too flat to be measured."""


def displacement(picture: Tensor, reference: Tensor) -> Tensor:
    """Mean distance in pixels by which the content of `picture` lies elsewhere than in `reference`.

    One least-squares step (Lucas and Kanade) for each block, weighted by its texture: right for distances up to
    about 2 pixels, and no estimator whose own noise would be counted as movement.

    Args:
        picture, reference: `[N, 3, H, W]`, RGB in [0, 1].

    Returns:
        `[N]`; 0 where nothing can be measured.
    """
    here, there = (_smooth(gray(x.float())) for x in (picture, reference))
    mean = 0.5 * (here + there)
    dx = 0.5 * (mean[..., 1:-1, 2:] - mean[..., 1:-1, :-2])
    dy = 0.5 * (mean[..., 2:, 1:-1] - mean[..., :-2, 1:-1])
    dt = (here - there)[..., 1:-1, 1:-1]
    block = min(BLOCK, *dx.shape[-2:])
    xx, xy, yy, xt, yt = (F.avg_pool2d(value, block) for value in (dx * dx, dx * dy, dy * dy, dx * dt, dy * dt))
    determinant = xx * yy - xy * xy
    trace = xx + yy
    # The smaller eigenvalue says how well the weaker direction is measured.
    weak = 0.5 * (trace - (trace.square() - 4 * determinant).clamp(min=0).sqrt())
    weight = torch.where(weak > FAINT, weak, torch.zeros_like(weak)).sqrt()
    safe = determinant.clamp(min=FAINT * FAINT)
    u = (yy * xt - xy * yt) / safe
    v = (xx * yt - xy * xt) / safe
    distance = torch.hypot(u, v) * weight
    return distance.sum(dim=(1, 2, 3)) / weight.sum(dim=(1, 2, 3)).clamp(min=1e-12)


def _smooth(image: Tensor) -> Tensor:
    """Gaussian blur of `[N, 1, H, W]`, cut where it would reach outside."""
    reach = int(3 * SMOOTHING)
    position = torch.arange(-reach, reach + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-0.5 * (position / SMOOTHING).square())
    kernel = kernel / kernel.sum()
    return F.conv2d(F.conv2d(image, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))
