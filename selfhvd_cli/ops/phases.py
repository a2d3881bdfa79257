"""Phases of a picture: every f-th pixel's values as rows of their own, for networks that work at 1/f of its size.

`pixel_unshuffle` puts them into the channels. Kept as `[N, H/f, C, f², W/f]` instead, the values that a convolution
reads together lie close together, and the copies to and from the layout that convolutions are fastest in cost a
third on a CPU. Phase `dy·f + dx` holds the pixels (f·x + dx, f·y + dy).
"""

from __future__ import annotations

import torch
from torch import Tensor


def split(picture: Tensor, factor: int) -> Tensor:
    """Phases `[N, H/f, C, f², W/f]` of `[N, C, H, W]`."""
    rows = picture.unflatten(2, (-1, factor)).unflatten(4, (-1, factor))
    return rows.permute(0, 2, 1, 3, 5, 4).flatten(3, 4)


def join(phases: Tensor, factor: int) -> Tensor:
    """The picture `[N, C, H, W]` of its phases: `split` backwards."""
    rows = phases.unflatten(3, (factor, factor))
    return rows.permute(0, 2, 1, 3, 5, 4).flatten(4, 5).flatten(2, 3)


def to_channels(phases: Tensor) -> Tensor:
    """`[N, C·f², H/f, W/f]`, the values of `F.pixel_unshuffle`, ready for a convolution (see `for_convolution`)."""
    return _cast(phases).flatten(2, 3).transpose(2, 3).contiguous().permute(0, 3, 1, 2)


def from_channels(values: Tensor, phases: int) -> Tensor:
    """float32 phases `[N, H/f, C, f², W/f]` of `[N, C·f², H/f, W/f]`."""
    return values.transpose(1, 2).contiguous().float().unflatten(2, (-1, phases))


def for_convolution(*parts: Tensor) -> Tensor:
    """The parts side by side as one channels-last input, cast to the autocast type first: half the bytes to move."""
    cast = [_cast(part) for part in parts]
    joined = torch.cat(cast, dim=1) if len(cast) > 1 else cast[0]
    return joined.contiguous(memory_format=torch.channels_last)


def _cast(part: Tensor) -> Tensor:
    kind = part.device.type
    return part.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else part
