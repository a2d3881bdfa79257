"""Local correlation: how well each pixel of one feature map matches the neighbourhood in another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

PRODUCTS = 1 << 26
"""Products that may be written down at once on an accelerator: 256 MB."""


def correlate(anchor: Tensor, moved: Tensor, radius: int) -> Tensor:
    """Inner products of each pixel of `anchor` with the pixels of `moved` around it.

    Args:
        anchor: `[N, C, H, W]`.
        moved: `[N, C, H, W]`; zero outside.
        radius: largest displacement in pixels.

    Returns:
        `[N, (2·radius+1)², H, W]`; channel `(dy + radius)·(2·radius+1) + dx + radius` is displacement (dx, dy).
    """
    result: Tensor = _Correlation.apply(anchor, moved, radius)
    return result


def displacements(radius: int) -> list[tuple[int, int]]:
    """(dx, dy) of each channel of `correlate`."""
    return [(dx, dy) for dy in range(-radius, radius + 1) for dx in range(-radius, radius + 1)]


class _Correlation(torch.autograd.Function):
    """Written out because autograd's own graph of some hundred shifted products took half of a training step."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, moved: Tensor, radius: int) -> Tensor:
        # float32 planes: with bfloat16 or channels last the shifted products are not vectorised (4 times slower).
        here = anchor.detach().to(_working(anchor)).contiguous()
        there = F.pad(moved.detach().to(_working(moved)), (radius, radius, radius, radius)).contiguous()
        ctx.save_for_backward(here, there)
        ctx.radius = radius
        ctx.dtypes = anchor.dtype, moved.dtype
        count, _, height, width = here.shape
        side = 2 * radius + 1
        shifted = there.unfold(2, height, 1).unfold(3, width, 1)
        if here.device.type == "cpu":
            # All displacements of one channel at a time: the sums stay in the cache, and no product is written down.
            cost = here.new_zeros(count, side, side, height, width)
            for one, around in zip(here[:, :, None, None].unbind(1), shifted.unbind(1), strict=True):
                cost.addcmul_(one, around)
            return cost.flatten(1, 2)
        # An accelerator waits for commands, not for memory: as many channels at a time as may be written down.
        together = max(1, PRODUCTS // (count * side * side * height * width))
        sums = [
            (some[:, :, None, None] * moved_some).sum(1)
            for some, moved_some in zip(here.split(together, 1), shifted.split(together, 1), strict=True)
        ]
        return sum(sums[1:], sums[0]).flatten(1, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        here, there = ctx.saved_tensors
        radius, gradient = ctx.radius, gradients[0]
        height, width = here.shape[2:]
        to_here, to_there = torch.zeros_like(here), torch.zeros_like(there)
        product = torch.empty_like(here)
        for channel, window in enumerate(_windows(height, width, radius)):
            weight = gradient[:, channel : channel + 1]
            to_here += torch.mul(there[window], weight, out=product)
            to_there[window] += torch.mul(here, weight, out=product)
        inner = to_there[:, :, radius : radius + height, radius : radius + width]
        return to_here.to(ctx.dtypes[0]), inner.to(ctx.dtypes[1]), None


def _working(features: Tensor) -> torch.dtype:
    """Type of the sums: float32, or double where the input is."""
    return torch.promote_types(features.dtype, torch.float32)


def _windows(height: int, width: int, radius: int) -> Iterator[tuple[slice, slice, slice, slice]]:
    for dx, dy in displacements(radius):
        y, x = dy + radius, dx + radius
        yield slice(None), slice(None), slice(y, y + height), slice(x, x + width)
