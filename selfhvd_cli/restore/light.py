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


class Light(NamedTuple):
    """Grey pictures at the coarse scale, in linear light: blur adds light, not code values."""

    level: Tensor
    """`[N, 1, h, w]`."""

    clipped: Tensor
    """`[N, 1, h, w]`: the share of it that is at the end of its range. The scene may have had any amount more."""


def light_of(pictures: Tensor, half: Tensor) -> Light:
    """In about linear light: the square of a code value, whatever the curve's exact exponent.

    Args:
        pictures: `[N, 3, H, W]`.
        half: the same in grey at half the size.
    """
    clipped = gray((pictures[..., ::2, ::2] >= CLIPPED).float())
    return Light(block_means(half.square(), COARSE // 2), block_means(clipped, COARSE // 2))
