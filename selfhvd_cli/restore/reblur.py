"""Re-blur consistency: whether some blur of the restored picture gives the input back, place by place."""

from __future__ import annotations

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.ops.blocks import block_means
from selfhvd_cli.ops.constants import numbers
from selfhvd_cli.ops.nearby import highest_within
from selfhvd_cli.ops.stencil import binomial
from selfhvd_cli.restore.light import Light

LENGTHS = (1.0, 2.0, 4.0, 7.0)
"""Lengths of the tried motion blurs, in pixels of the scale they are tried at."""

SPREADS = (0.6, 1.2)
"""Standard deviations of the tried round blurs, in the same pixels."""

DIRECTIONS = 6
"""Directions of each motion blur."""

RADIUS = 4
"""Half the side of the kernels."""

BRIGHTEST = 4.0
"""Light of clipped places beyond the end of the range, in multiples of it. With 2 or 8 hardly anything changes."""

FAINT = 0.02
"""Share of a place that is clipped, below which it is not."""


def unexplained(source: Light, picture: Light) -> tuple[Tensor, Tensor]:
    """The share of the change from `source` to `picture` that no blur of `picture` explains, and the blur that does.

    Returns:
        `[N, 1, h/2, w/2]` in [0, 1]: 0 where the input is a blurred version of the result (or they are alike up to
        noise), 1 where the result shows what the input denies; and the length of the blur that explains the input
        best over all, `[N]`, in pixels of that scale, drawn to 0 the less it explains.
    """
    missing = _blurred(picture.level).neg_().add_(source.level)
    change = (picture.level - source.level).square()
    least, best = missing.square().mean((2, 3)).min(1)
    explained = 1.0 - least / change.mean((1, 2, 3)).clamp_min(1e-12)
    length = numbers(lengths(), missing.device)[best] * (explained / 0.5).clamp(0.0, 1.0)

    error, change = _least_error(missing, source.clipped, picture.clipped).amin(1, keepdim=True), _around(change)
    noise = source.noise.square()
    left = (torch.minimum(error, change) - noise).clamp_min(0.0)
    return (left / (change + noise)).clamp(0.0, 1.0), length


def _least_error(missing: Tensor, clipped: Tensor, lamps: Tensor) -> Tensor:
    """Mean squares of what each blur leaves missing, with as much more light from clipped places as explains most.

    Signs and lamps at night: their blur is far brighter than that of what is left of them in the picture.

    Args:
        missing: input minus blurred result, `[N, K, h, w]`; overwritten.
        clipped: share of the input that is clipped, `[N, 1, h, w]`.
        lamps: the same of the result.
    """
    # A device would have to be waited for.
    if missing.device.type == "cpu" and not bool((lamps > FAINT).any()):
        return _around(missing.square_())
    # How bright a clipped place of the input was, nobody knows, where light may have come to it from others.
    near = highest_within(lamps, RADIUS) > FAINT
    known = 1.0 - clipped * near
    missing, beyond = missing.mul_(known), _blurred(lamps).mul_(known)
    slope, error, bend = _around(missing * beyond), _around(missing.square_()), _around(beyond.square_())
    more = (slope / bend.add_(1e-6)).clamp_(0.0, BRIGHTEST)
    return error.sub_(slope.mul_(2.0).sub_(bend.mul_(more)).mul_(more)).clamp_min_(0.0)


def _blurred(picture: Tensor) -> Tensor:
    """By each of the blurs: `[N, K, h, w]` of `[N, 1, h, w]`."""
    return F.conv2d(F.pad(picture, (RADIUS,) * 4, mode="replicate"), kernels(picture.device))


def _around(squares: Tensor) -> Tensor:
    """Mean over about six pixels, at every second one: one blur must explain them all."""
    return binomial(block_means(squares, 2))


def lengths() -> tuple[float, ...]:
    """The length of each kernel of the bank, in pixels; round ones count little, since sharpening looks like them."""
    return (*(length for length in LENGTHS for _ in range(DIRECTIONS)), *(0.25 * sigma for sigma in SPREADS))


@cache
def kernels(device: torch.device) -> Tensor:
    """Straight motion blurs about the centre, then round ones, each of sum 1: `[N, 1, side, side]`."""
    made = []
    for length in LENGTHS:
        for index in range(DIRECTIONS):
            angle = math.pi * index / DIRECTIONS
            made.append(_line(length, angle))
    made += [_round(sigma) for sigma in SPREADS]
    return torch.stack(made).unsqueeze(1).to(device)


def _line(length: float, angle: float) -> Tensor:
    steps = torch.linspace(-0.5, 0.5, 65) * length
    grid = torch.arange(-RADIUS, RADIUS + 1, dtype=torch.float32)
    across = (1.0 - (grid.view(-1, 1) - steps * math.cos(angle)).abs()).clamp_min(0.0)
    down = (1.0 - (grid.view(-1, 1) - steps * math.sin(angle)).abs()).clamp_min(0.0)
    kernel = down @ across.mT
    return kernel / kernel.sum()


def _round(sigma: float) -> Tensor:
    profile = torch.exp(-0.5 * (torch.arange(-RADIUS, RADIUS + 1) / sigma) ** 2)
    kernel = profile.view(-1, 1) * profile
    return kernel / kernel.sum()
