"""How far one picture lies from another in place, to a few hundredths of a pixel, whatever their sharpness."""

from __future__ import annotations

import torch
from torch import Tensor

from selfhvd_cli.ops.blocks import half_size
from selfhvd_cli.ops.sharpness import gray
from selfhvd_cli.ops.stencil import smooth
from selfhvd_cli.ops.warp import warp

GAMMA = 2.2
"""Both are compared in linear light: in code values a blurred edge seems to have moved to its dark side."""

LARGEST = 540
"""Short side in pixels above which pictures are halved once more: a blur that is long there is short here."""

SMALLEST = 96
"""Short side in pixels from which on they are halved at all; what is left after it differs in place only."""

PARTS = 2
"""Rows and columns of the parts that are measured one by one, so that opposite movements do not cancel out."""

ROUNDS, VOTES = 2, 4
"""Times that the picture is moved by what was found, and within each that every pixel is weighed anew."""

FAINT = 1e-7
"""Mean squared gradient of a part, in linear light, up to which it is too flat to be measured."""


def displacement(picture: Tensor, reference: Tensor) -> Tensor:
    """Mean distance in pixels by which the content of `picture` lies elsewhere than in `reference`.

    Least squares (Lucas and Kanade) over each quarter of the picture, in which pixels that do not move with the rest
    lose their vote; the mean over the quarters, weighted by their texture. Right up to about 2 pixels. Blur that is
    not even to both sides of its middle, and lights that the recording clipped, still read as movement: synthetic
    frames with 8 to 10 pixels of blur in 256×192 measured 0.05 to 0.37 px away from their exact truth. Smaller blocks
    measured 0.3 to 0.7, as noise has no direction but always a length.

    Args:
        picture, reference: `[N, 3, H, W]`, RGB in [0, 1].

    Returns:
        `[N]`; 0 where nothing can be measured.
    """
    here, there = (gray(x.float()).clamp(0, 1).pow(GAMMA) for x in (picture, reference))
    scale = 1
    while min(here.shape[-2:]) >= (SMALLEST if scale == 1 else LARGEST):
        here, there, scale = half_size(here), half_size(there), 2 * scale
    here, there = smooth(smooth(here)), smooth(smooth(there))
    count, (height, width) = len(here), here.shape[-2:]
    total, weights = here.new_zeros(count), here.new_zeros(count)
    for row in range(PARTS):
        for column in range(PARTS):
            rows = slice(row * height // PARTS, (row + 1) * height // PARTS)
            columns = slice(column * width // PARTS, (column + 1) * width // PARTS)
            moved, weak = _translation(here, there, rows, columns)
            weight = torch.where(weak > FAINT, weak, torch.zeros_like(weak)).sqrt()
            total += weight * moved.norm(dim=1)
            weights += weight
    return scale * total / weights.clamp(min=1e-12)


def _translation(here: Tensor, there: Tensor, rows: slice, columns: slice) -> tuple[Tensor, Tensor]:
    """`[N, 2]`: (dx, dy) from a part of `here` to its place in `there`; `[N]`: how well that is measured."""
    part = here[..., rows, columns]
    found = here.new_zeros(len(here), 2)
    weak = here.new_zeros(len(here))
    for _ in range(ROUNDS):
        moved = warp(there, found.view(-1, 2, 1, 1).expand(-1, -1, *there.shape[-2:]))
        moved = moved[..., rows, columns]
        step, weak = _step(part, moved)
        found = found + step
    return found, weak


def _step(one: Tensor, two: Tensor) -> tuple[Tensor, Tensor]:
    """One robust least-squares step, and the smaller eigenvalue of the mean structure tensor."""
    mean = 0.5 * (one + two)
    gx = 0.5 * (mean[..., 1:-1, 2:] - mean[..., 1:-1, :-2])
    gy = 0.5 * (mean[..., 2:, 1:-1] - mean[..., :-2, 1:-1])
    change = (one - two)[..., 1:-1, 1:-1]
    products = torch.cat((gx * gx, gx * gy, gy * gy, gx * change, gy * change), dim=1)
    weight = torch.ones_like(change)
    for _ in range(VOTES):
        xx, xy, yy, xt, yt = (weight * products).mean(dim=(2, 3)).unbind(1)
        safe = (xx * yy - xy * xy).clamp(min=FAINT * FAINT)
        u, v = (yy * xt - xy * yt) / safe, (xx * yt - xy * xt) / safe
        error = (change - gx * u.view(-1, 1, 1, 1) - gy * v.view(-1, 1, 1, 1)).square()
        weight = 1.0 / (1.0 + error / (4.0 * error.mean(dim=(1, 2, 3), keepdim=True) + 1e-12))
    return torch.stack((u, v), dim=1), least_texture(xx, xy, yy)


def least_texture(xx: Tensor, xy: Tensor, yy: Tensor) -> Tensor:
    """The smaller eigenvalue of structure tensors, given by their elements: how well a displacement is known."""
    return 0.5 * (xx + yy - ((xx - yy).square() + 4.0 * xy.square()).sqrt()).clamp_min(0.0)
