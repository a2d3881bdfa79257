"""Displacement of one picture against another that differs in blur: a robust Lucas–Kanade step at low resolution."""

from __future__ import annotations

import cv2
import torch
import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.ops.blocks import block_means
from selfhvd_cli.ops.stencil import smooth

NOISE = 2.0 / 255.0
"""Gradient (per coarse pixel) below which a place says nothing about displacement."""


def displacements(source: Tensor, picture: Tensor) -> tuple[Tensor, Tensor]:
    """Where `picture` lies against `source`, over all and place by place.

    Both are smoothed further, so that blur in one of them, being symmetric or nearly so, does not look like motion.

    Args:
        source, picture: grey `[1, 1, h, w]` of the same scene in linear light, at a coarse scale. (In code values a
            blurred edge seems to have moved to its dark side, by a tenth of the blur.)

    Returns:
        Mean displacement `[2]`, and local displacements `[1, 2, h/2, w/2]` over about ten pixels, (dx, dy) in pixels
        of that scale, drawn to zero where there is no texture to tell. Those beyond two pixels are underestimated,
        never overlooked.
    """
    one, two = smooth(source), smooth(picture)
    padded = F.pad(one + two, (1, 1, 1, 1), mode="replicate")
    gx = 0.25 * (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2])
    gy = 0.25 * (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1])
    change = two - one
    products = torch.cat([gx * gx, gx * gy, gy * gy, -gx * change, -gy * change], dim=1)

    weight = torch.ones_like(change)
    whole = change.new_zeros(2)
    for _ in range(3):
        whole = _solve((products * weight).mean((2, 3), keepdim=True), NOISE**2 * 0.01).flatten()
        # What does not move with the rest (an object of its own, a lamp that swayed) loses its vote.
        error = (change + gx * whole[0] + gy * whole[1]).square()
        weight = 1.0 / (1.0 + error / (4.0 * error.mean()).clamp_min(1e-10))
    blocks = block_means(products, 2)
    local = F.avg_pool2d(blocks, 5, stride=1, padding=2, count_include_pad=False)
    return whole, _solve(local, NOISE**2)


def _solve(products: Tensor, regular: float) -> Tensor:
    """Solve the 2x2 normal equations of Lucas–Kanade: `[1, 5, h, w]` to `[1, 2, h, w]`, damped by `regular`."""
    xx, xy, yy, xt, yt = products.split(1, dim=1)
    xx, yy = xx + regular, yy + regular
    return torch.cat([yy * xt - xy * yt, xx * yt - xy * xt], dim=1) / (xx * yy - xy * xy)


def shifted(picture: Tensor, by: Tensor) -> Tensor:
    """`[1, C, H, W]` moved by `by` = (dx, dy) pixels of at most one, with six-tap Lanczos, edges repeated."""
    columns, rows = _lanczos(by[0]), _lanczos(by[1])
    if picture.device.type == "cpu":
        # Five times as fast as the two convolutions.
        taps = columns.numpy(), rows.numpy()
        moved = torch.empty(picture.shape)
        for plane, target in zip(picture[0].numpy(), moved[0].numpy(), strict=True):
            cv2.sepFilter2D(plane, -1, *taps, dst=target, borderType=cv2.BORDER_REPLICATE)
        return moved.clamp_(0.0, 1.0)
    channels = picture.shape[1]
    padded = F.pad(picture, (3, 3, 3, 3), mode="replicate")
    across = F.conv2d(padded, columns.view(1, 1, 1, 7).expand(channels, -1, -1, -1), groups=channels)
    return F.conv2d(across, rows.view(1, 1, 7, 1).expand(channels, -1, -1, -1), groups=channels).clamp_(0.0, 1.0)


def _lanczos(offset: Tensor) -> Tensor:
    """Seven taps that move a row of pixels by `offset`."""
    at = torch.arange(-3, 4, device=offset.device, dtype=offset.dtype) + offset
    kernel = torch.where(at.abs() < 3, torch.sinc(at) * torch.sinc(at / 3), torch.zeros_like(at))
    return kernel / kernel.sum()
