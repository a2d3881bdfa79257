"""Bilinear samples of a map as weighted sums of rows: a row a pixel, zeros around the map, so that none is a case.

`F.embedding_bag` adds such rows up by their weights without storing the samples, and takes further weights (a mask,
an attention) for nothing.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.ops.constants import numbers

BORDER = 1
FAR_BORDER = 2
"""Zero rows and columns around a map, so that a sample just outside needs no mask: one before, two behind."""


def rows_with_border(maps: Tensor) -> Tensor:
    """`[B, T, D, H, W]` -> `[B, T * (H + 3) * (W + 3), D]`: one row a pixel, zeros around each map."""
    padded = F.pad(maps.permute(0, 1, 3, 4, 2), (0, 0, BORDER, FAR_BORDER, BORDER, FAR_BORDER))
    return padded.flatten(1, 3)


def corner_rows(
    moves: Tensor, start: int, height: int, width: int, kernel: int, sources: list[int], weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Rows of the four pixels around each sample and their bilinear shares.

    Args:
        moves: `[P, T, G, K, 2]`, the offsets (dy, dx) of P pixels from pixel `start` of the picture on.
        sources: which frame of the clip each source is.
        weights: `[P, G, T, K]`, by which the samples are multiplied; None is 1.

    Returns:
        Two tensors `[P, G, T, K, 4]`: indices into the rows of `rows_with_border`, int32, and shares, float32.
    """
    device = moves.device
    pixel = torch.arange(start, start + moves.shape[0], device=device)
    tap = torch.arange(kernel, device=device) - kernel // 2
    home_y = ((pixel // width).unsqueeze(1) + tap.repeat_interleave(kernel)).float().view(-1, 1, 1, kernel**2)
    home_x = ((pixel % width).unsqueeze(1) + tap.repeat(kernel)).float().view(-1, 1, 1, kernel**2)
    # [P, T, G, K, 2] -> [P, G, T, K]; a position one pixel outside has no share inside any more.
    dy, dx = (way.contiguous() for way in moves.transpose(1, 2).unbind(-1))
    y = (dy + home_y).clamp(-1.0, height)
    x = (dx + home_x).clamp(-1.0, width)
    top, left = y.floor(), x.floor()
    below, right = y - top, x - left
    if weights is None:
        above = 1.0 - below
    else:
        below = below * weights
        above = weights - below
    above_right, below_right = above * right, below * right
    shares = torch.stack((above - above_right, above_right, below - below_right, below_right), dim=-1)

    stride = width + BORDER + FAR_BORDER
    frame = numbers(tuple(sources), device, torch.int32) * (height + BORDER + FAR_BORDER) * stride
    first = (top.int() + BORDER) * stride + (left.int() + BORDER) + frame.view(1, 1, -1, 1)
    step = numbers((0, 1, stride, stride + 1), device, torch.int32)
    return first.unsqueeze(-1) + step, shares
