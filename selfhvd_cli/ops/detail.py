"""Sharpness for comparing recorded pictures with restored ones, in spite of noise."""

from __future__ import annotations

from torch import Tensor

from selfhvd_cli.ops.blocks import half_size
from selfhvd_cli.ops.sharpness import sharpness


def detail(pictures: Tensor) -> Tensor:
    """S of Eq. 1 of the pictures at half their size: `[N]` for `[N, 3, H, W]`.

    For comparing recorded frames with restored ones. A network takes away noise with the blur, and at full size the
    noise of a blurry frame can outweigh the edges of a restored one.
    """
    return sharpness(half_size(pictures.float().clamp(0, 1)))
