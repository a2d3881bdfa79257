"""Light: pictures as the guard compares them: grey, coarse, in about linear light, and where there was more of it."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from selfhvd_cli.ops.blocks import block_means
from selfhvd_cli.ops.sharpness import gray

COARSE = 4
"""Pixels a side that make one of the coarse scale."""

CLIPPED = 0.97
"""Code value from which on a colour may have been any brighter."""


NOISE = 2.0 / 255.0
"""Difference that noise and rounding explain at the coarse scale, in pictures as bright as most; also the gradient,
per coarse pixel, below which a place says nothing about displacement."""

FAINTEST = 1.0 / 16.0
"""Share of it that is the least, however dark a picture."""


class Light(NamedTuple):
    """Grey pictures at the coarse scale, in linear light: blur adds light, not code values."""

    level: Tensor
    """`[N, 1, h, w]`."""

    clipped: Tensor
    """`[N, 1, h, w]`: the share of it that is at the end of its range. The scene may have had any amount more."""

    noise: Tensor
    """`[N, 1, 1, 1]`: difference of levels that noise explains."""


def light_of(pictures: Tensor, half: Tensor) -> Light:
    """In about linear light: the square of a code value, whatever the curve's exact exponent.

    Args:
        pictures: `[N, 3, H, W]`.
        half: the same in grey at half the size.
    """
    clipped = gray((pictures[..., ::2, ::2] >= CLIPPED).float())
    level = block_means(half.square(), COARSE // 2)
    # As much noise in code values is less light where they are low: d(v²) = 2 v dv. With one limit for all nothing in
    # a night clip was different enough to be wrong: another picture passed.
    noise = NOISE * (2.2 * level.mean((1, 2, 3), keepdim=True).sqrt()).clamp(FAINTEST, 1.0)
    return Light(level, block_means(clipped, COARSE // 2), noise)
