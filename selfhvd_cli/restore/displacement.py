"""Displacement of one picture against another that differs in blur: a robust Lucas–Kanade step at low resolution."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import torch
import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.ops.blocks import block_means
from selfhvd_cli.ops.constants import spaced
from selfhvd_cli.ops.displacement import least_texture
from selfhvd_cli.ops.nearby import highest_within
from selfhvd_cli.ops.stencil import smooth
from selfhvd_cli.restore.light import Light

REACH = 2
"""Coarse pixels around clipped places within which nothing is said of local displacements: the trail of a lamp and
what is left of it differ far more than by blur."""

ASTRAY = 0.3
"""Local displacement from which on a place, being wrong itself, says nothing of its quarter of the picture."""


ROUNDS = 5
"""Times that the mean displacement is found, and every place weighed anew by how far it moves otherwise. With three,
and errors measured against the mean of all instead of those that count, a black edge of eight pixels in a result was
a movement of 0.3 px of the whole picture; now of 0.01."""


class Displacements(NamedTuple):
    """Where pictures lie against others, in pixels of the scale they were compared at."""

    whole: Tensor
    """Mean displacements `[N, 2]`, (dx, dy)."""

    apart: Tensor
    """How far, `[N]`, quarters of a picture moved otherwise than that: it was turned, or grew. The median, so that
    one thing that is wrong says nothing of the others."""

    local: Tensor
    """Local ones `[N, 2, h/2, w/2]` over about ten pixels, drawn to zero where there is no texture to tell. Those
    beyond two pixels are underestimated, never overlooked."""


def displacements(source: Light, picture: Light) -> Displacements:
    """Where `picture` lies against `source`, over all, in its quarters and place by place.

    Both are smoothed further, so that blur in one of them, being symmetric or nearly so, does not look like motion.

    In light, for in code values a blurred edge seems to have moved to its dark side, by a tenth of the blur.
    """
    noise = source.noise.square()
    one, two = smooth(source.level), smooth(picture.level)
    padded = F.pad(one + two, (1, 1, 1, 1), mode="replicate")
    gx = 0.25 * (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2])
    gy = 0.25 * (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1])
    change = two - one
    products = torch.cat([gx * gx, gx * gy, gy * gy, -gx * change, -gy * change], dim=1)

    weight = torch.ones_like(change)
    whole = change.new_zeros(len(change), 2, 1, 1)
    for _ in range(ROUNDS):
        whole = _solve((products * weight).mean((2, 3), keepdim=True), noise * 0.01)
        # What does not move with the rest (an object of its own, a lamp that swayed) loses its vote.
        error = (change + gx * whole[:, :1] + gy * whole[:, 1:]).square()
        typical = (weight * error).mean((1, 2, 3), keepdim=True) / weight.mean((1, 2, 3), keepdim=True)
        weight = 1.0 / (1.0 + error / (4.0 * typical).clamp_min(1e-10))
    clipped = highest_within(torch.maximum(source.clipped, picture.clipped), REACH)
    blocks = block_means(products * (1.0 - clipped), 2)
    local = _solve(F.avg_pool2d(blocks, 5, stride=1, padding=2, count_include_pad=False), noise)
    quarters = _quarters(blocks * (torch.hypot(*local.split(1, dim=1)) < ASTRAY))
    texture = least_texture(*quarters[:, :3].unbind(1))
    moves = _solve(quarters, noise * 0.01)
    # One that did not move at all is no evidence: something wrong elsewhere may have dragged the whole's along.
    away = torch.minimum((moves - whole).norm(dim=1), moves.norm(dim=1)).flatten(1)
    return Displacements(whole.flatten(1), _median(away, texture.sqrt().flatten(1)), local)


def _quarters(fields: Tensor) -> Tensor:
    """Mean over each quarter, `[N, C, 2, 2]` of `[N, C, h, w]`, h and w at least 2: what lies in the middle of an odd
    size counts on both sides, as in adaptive pooling, which Apple's GPUs do for even sizes only."""
    height, width = fields.shape[-2:]
    return F.avg_pool2d(fields, (-(-height // 2), -(-width // 2)), (height // 2, width // 2))


def _median(values: Tensor, weights: Tensor) -> Tensor:
    """Of each row of `[N, K]`, the lower one where two are as good, `[N]`."""
    values, order = values.sort(dim=1)
    passed = weights.gather(1, order).cumsum(1)
    place = (passed < 0.5 * passed[:, -1:]).sum(1, keepdim=True)
    return values.gather(1, place.clamp_max_(values.shape[1] - 1))[:, 0]


def _solve(products: Tensor, regular: Tensor) -> Tensor:
    """Solve the 2x2 normal equations of Lucas–Kanade: `[N, 5, h, w]` to `[N, 2, h, w]`, damped by `regular`."""
    xx, xy, yy, xt, yt = products.split(1, dim=1)
    xx, yy = xx + regular, yy + regular
    return torch.cat([yy * xt - xy * yt, xx * yt - xy * xt], dim=1) / (xx * yy - xy * xy)


def shifted(picture: Tensor, by: Tensor) -> Tensor:
    """`[N, C, H, W]`, each moved by its `by` `[N, 2]`, (dx, dy) of at most one pixel, with six-tap Lanczos, edges
    repeated."""
    columns, rows = _lanczos(by[:, 0]), _lanczos(by[:, 1])
    if picture.device.type == "cpu":
        # Five times as fast as the two convolutions.
        moved = torch.empty(picture.shape)
        for place in range(len(picture)):
            taps = columns[place].numpy(), rows[place].numpy()
            for plane, target in zip(picture[place].numpy(), moved[place].numpy(), strict=True):
                cv2.sepFilter2D(plane, -1, *taps, dst=target, borderType=cv2.BORDER_REPLICATE)
        return moved.clamp_(0.0, 1.0)
    count, channels = picture.shape[:2]
    each = count * channels
    padded = F.pad(picture, (3, 3, 3, 3), mode="replicate").flatten(0, 1).unsqueeze(0)
    across = F.conv2d(padded, columns.repeat_interleave(channels, 0).view(each, 1, 1, 7), groups=each)
    moved = F.conv2d(across, rows.repeat_interleave(channels, 0).view(each, 1, 7, 1), groups=each)
    return moved[0].unflatten(0, (count, channels)).clamp_(0.0, 1.0)


def _lanczos(offsets: Tensor) -> Tensor:
    """Seven taps each, `[N, 7]`, that move a row of pixels by `offsets` `[N]`."""
    at = spaced(-3.0, 3.0, 7, offsets.device) + offsets.unsqueeze(1)
    kernel = torch.where(at.abs() < 3, torch.sinc(at) * torch.sinc(at / 3), torch.zeros_like(at))
    return kernel / kernel.sum(1, keepdim=True)
