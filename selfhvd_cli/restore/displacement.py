"""Displacement of one picture against another that differs in blur: a robust Lucas–Kanade step at low resolution."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

NOISE = 2.0 / 255.0
"""Gradient (per coarse pixel) below which a place says nothing about displacement."""

REACH = 9
"""Side of the neighbourhood, in coarse pixels, over which a local displacement is found."""


def displacements(source: Tensor, picture: Tensor) -> tuple[Tensor, Tensor]:
    """Where `picture` lies against `source`, over all and place by place.

    Both are smoothed further, so that blur in one of them, being symmetric or nearly so, does not look like motion.

    Args:
        source, picture: grey `[1, 1, h, w]` of the same scene in linear light, at a coarse scale. (In code values a
            blurred edge seems to have moved to its dark side, by a tenth of the blur.)

    Returns:
        Mean displacement `[2]` and local displacements `[1, 2, h, w]`, (dx, dy) in pixels of that scale, drawn to
        zero where there is no texture to tell. Those beyond two pixels are underestimated, never overlooked.
    """
    one, two = smooth(source), smooth(picture)
    mean = 0.5 * (one + two)
    padded = F.pad(mean, (1, 1, 1, 1), mode="replicate")
    gx = 0.5 * (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2])
    gy = 0.5 * (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1])
    change = two - one
    products = torch.cat([gx * gx, gx * gy, gy * gy, -gx * change, -gy * change], dim=1)

    weight = torch.ones_like(change)
    whole = change.new_zeros(2)
    for _ in range(3):
        whole = _solve((products * weight).mean((2, 3), keepdim=True), NOISE**2 * 0.01).flatten()
        # What does not move with the rest (an object of its own, a lamp that swayed) loses its vote.
        error = (change + gx * whole[0] + gy * whole[1]).square()
        weight = 1.0 / (1.0 + error / (4.0 * error.mean()).clamp_min(1e-10))
    local = F.avg_pool2d(products, REACH, stride=1, padding=REACH // 2, count_include_pad=False)
    return whole, _solve(local, NOISE**2)


def smooth(image: Tensor) -> Tensor:
    """Binomial low-pass of 5 taps in each direction, edges repeated, `[N, C, h, w]`."""
    taps = image.new_tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16.0
    channels = image.shape[1]
    rows = taps.view(1, 1, 5, 1).expand(channels, -1, -1, -1)
    padded = F.pad(image, (2, 2, 2, 2), mode="replicate")
    return F.conv2d(F.conv2d(padded, rows, groups=channels), rows.mT, groups=channels)


def _solve(products: Tensor, regular: float) -> Tensor:
    """Solve the 2x2 normal equations of Lucas–Kanade: `[1, 5, h, w]` to `[1, 2, h, w]`, damped by `regular`."""
    xx, xy, yy, xt, yt = products.split(1, dim=1)
    xx, yy = xx + regular, yy + regular
    return torch.cat([yy * xt - xy * yt, xx * yt - xy * xt], dim=1) / (xx * yy - xy * xy)
