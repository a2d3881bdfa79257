"""Space to depth, straight into the memory layout that convolutions are fastest in."""

from __future__ import annotations

import torch
from torch import Tensor


def unshuffle(picture: Tensor, factor: int) -> Tensor:
    """`[N, C, H, W]` as `[N, C·f², H/f, W/f]` in channels-last memory; the values of `F.pixel_unshuffle`.

    One copy does both, where `pixel_unshuffle` and a change of layout take two, the first of them slow on CPUs.
    """
    count, channels, height, width = picture.shape
    blocks = picture.reshape(count, channels, height // factor, factor, width // factor, factor)
    rows = blocks.permute(0, 2, 4, 1, 3, 5).reshape(count, height // factor, width // factor, channels * factor**2)
    return rows.permute(0, 3, 1, 2)


def for_convolution(*parts: Tensor) -> Tensor:
    """The parts side by side as one channels-last input, cast to the autocast type first: half the bytes to move."""
    kind = parts[0].device.type
    if torch.is_autocast_enabled(kind):
        dtype = torch.get_autocast_dtype(kind)
        parts = tuple(part.to(dtype) for part in parts)
    joined = torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]
    return joined.contiguous(memory_format=torch.channels_last)
