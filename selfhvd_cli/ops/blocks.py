"""Blocks of pixels: their means, and coarse maps made large again; both much faster on a CPU than torch's own."""

from __future__ import annotations

import cv2
import torch
import torch.nn.functional as F
from torch import Tensor


def block_means(picture: Tensor, side: int) -> Tensor:
    """Means of blocks of `side` × `side` pixels.

    Args:
        picture: `[N, C, H, W]`.

    Returns:
        `[N, C, ceil(H / side), ceil(W / side)]`; a block that the border cuts is the mean of what is there.
    """
    height, width = picture.shape[-2:]
    if height % side or width % side:
        return F.avg_pool2d(picture, side, ceil_mode=True)
    if side == 2:
        rows = picture[..., 0::2, :] + picture[..., 1::2, :]
        return (rows[..., 0::2] + rows[..., 1::2]).mul_(0.25)
    rows = picture.unflatten(-2, (-1, side)).sum(-2)
    return rows.unflatten(-1, (-1, side)).sum(-1).div_(side * side)


def half_size(picture: Tensor) -> Tensor:
    """Means of 2×2 pixels, `[N, C, H/2, W/2]` of `[N, C, H, W]`; an odd last row or column is left out."""
    height, width = picture.shape[-2] // 2 * 2, picture.shape[-1] // 2 * 2
    return block_means(picture[..., :height, :width], 2)


def enlarged(coarse: Tensor, factor: int, size: torch.Size) -> Tensor:
    """A coarse map `[1, C, h, w]` made `factor` times as large, bilinearly, and cut to `size` = (H, W)."""
    height, width = size
    if coarse.device.type != "cpu" or coarse.requires_grad:
        large = F.interpolate(coarse, scale_factor=factor, mode="bilinear", align_corners=False)
        return large[..., :height, :width]
    whole = coarse.shape[-1] * factor, coarse.shape[-2] * factor
    planes = [cv2.resize(plane.numpy(), whole, interpolation=cv2.INTER_LINEAR) for plane in coarse[0]]
    large = torch.from_numpy(planes[0])[None] if len(planes) == 1 else torch.stack([*map(torch.from_numpy, planes)])
    return large[None, :, :height, :width]
