"""Blocks of pixels: their means, and coarse maps made large again; both much faster on a CPU than torch's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

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
    if height % side or width % side or picture.device.type != "cpu":
        return F.avg_pool2d(picture, side, ceil_mode=True)
    if side == 2:  # sums of two are slower than slices
        rows = picture[..., 0::2, :] + picture[..., 1::2, :]
        return (rows[..., 0::2] + rows[..., 1::2]).mul_(0.25)
    rows = picture.unflatten(-2, (-1, side)).sum(-2)
    return rows.unflatten(-1, (-1, side)).sum(-1).div_(side * side)


def half_size(picture: Tensor) -> Tensor:
    """Means of 2×2 pixels, `[N, C, H/2, W/2]` of `[N, C, H, W]`; an odd last row or column is left out."""
    height, width = picture.shape[-2] // 2 * 2, picture.shape[-1] // 2 * 2
    return block_means(picture[..., :height, :width], 2)


def enlarged(coarse: Tensor, factor: int, size: Sequence[int]) -> Tensor:
    """A coarse map `[N, C, h, w]` made `factor` times as large, bilinearly, and cut to `size` = (H, W)."""
    large = resized(coarse, (coarse.shape[-2] * factor, coarse.shape[-1] * factor))
    return large[..., : size[0], : size[1]]


def resized(picture: Tensor, size: Sequence[int], mode: Literal["bilinear", "bicubic"] = "bilinear") -> Tensor:
    """`F.interpolate` to a larger (H, W), `[N, C, H, W]` of `[N, C, h, w]`, float32."""
    picture, size = picture.float(), tuple(size)
    if picture.device.type != "cpu" or picture.requires_grad:
        return F.interpolate(picture, size=size, mode=mode, align_corners=False)
    large = torch.empty(*picture.shape[:2], *size)
    kernel = cv2.INTER_LINEAR if mode == "bilinear" else cv2.INTER_CUBIC
    for plane, target in zip(picture.flatten(0, 1), large.flatten(0, 1), strict=True):
        cv2.resize(plane.numpy(), size[::-1], dst=target.numpy(), interpolation=kernel)
    return large
