"""Phases of a picture: the f×f pixels of each cell of a grid side by side, for networks that work at 1/f of its size.

`pixel_unshuffle` puts them into the channels. Kept as `[N, H/f, C, W/f, f²]` instead they are a step from the layout
that convolutions are fastest in, where the f² values of a cell stay together, and pixels that lie close together in
the picture do so in memory: on two cores with AVX-512 sampling a picture in this order takes 0.74 of the time that it
takes with every phase as a row of its own, and the copies to and from convolutions half. Phase `dy·f + dx` of a cell
is the pixel (f·x + dx, f·y + dy).
"""

from __future__ import annotations

import torch
from torch import Tensor

UNIT = torch.complex128
"""A type of 16 bytes. A CPU moves four float32 values that stay together in a quarter of the time as one of these."""


def split(picture: Tensor, factor: int) -> Tensor:
    """Phases `[N, H/f, C, W/f, f²]` of `[N, C, H, W]`."""
    units = _in_units(picture, factor)
    rows = units.unflatten(2, (-1, factor)).unflatten(4, (picture.shape[3] // factor, -1))
    return _in_values(rows.permute(0, 2, 1, 4, 3, 5)).flatten(4, 5)


def join(phases: Tensor, factor: int) -> Tensor:
    """The picture `[N, C, H, W]` of its phases: `split` backwards."""
    rows = _in_units(phases, factor).unflatten(4, (factor, -1)).permute(0, 2, 1, 4, 3, 5)
    return _in_values(rows).flatten(4, 5).flatten(2, 3)


def to_channels(phases: Tensor) -> Tensor:
    """`[N, C·f², H/f, W/f]`, the values of `F.pixel_unshuffle`, ready for a convolution (see `for_convolution`)."""
    cells = phases.transpose(2, 3).to(_working(phases), memory_format=torch.contiguous_format)
    return cells.flatten(3, 4).permute(0, 3, 1, 2)


def from_channels(values: Tensor, phases: int) -> Tensor:
    """float32 phases `[N, H/f, C, W/f, f²]` of `[N, C·f², H/f, W/f]`."""
    cells = values.permute(0, 2, 3, 1).unflatten(3, (-1, phases)).transpose(2, 3)
    return cells.to(torch.float32, memory_format=torch.contiguous_format)


def for_convolution(*parts: Tensor) -> Tensor:
    """The parts side by side as one channels-last input, cast to the autocast type first: half the bytes to move."""
    cast = [part.to(_working(part)) for part in parts]
    joined = torch.cat(cast, dim=1) if len(cast) > 1 else cast[0]
    return joined.contiguous(memory_format=torch.channels_last)


def _working(part: Tensor) -> torch.dtype:
    """The type that a convolution casts it to."""
    kind = part.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else part.dtype


def _in_units(values: Tensor, factor: int) -> Tensor:
    """Rows of `[..., 4 n]` values as `[..., n]` units where that can be, else the values themselves."""
    steps = (*values.stride()[:-1], values.storage_offset())
    fits = factor == 4 and values.dtype == torch.float32 and values.stride(-1) == 1
    # A gradient does not find its way through another type.
    if fits and values.device.type == "cpu" and not values.requires_grad and all(step % 4 == 0 for step in steps):
        return values.view(UNIT)
    return values


def _in_values(units: Tensor) -> Tensor:
    """Contiguous values of what `_in_units` gave, wherever its units have been moved since."""
    moved = units.contiguous()
    return moved.view(torch.float32) if units.dtype == UNIT else moved
