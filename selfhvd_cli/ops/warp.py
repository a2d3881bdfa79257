"""Backward bilinear warp, the W(X, F) of the paper."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


def coordinates(height: int, width: int, like: Tensor) -> Tensor:
    """Pixel coordinates `[1, 2, H, W]`, (x, y), on the device and in the dtype of `like`."""
    x = torch.arange(width, device=like.device, dtype=like.dtype).expand(height, width)
    y = torch.arange(height, device=like.device, dtype=like.dtype).unsqueeze(1).expand(height, width)
    return torch.stack((x, y)).unsqueeze(0)


def warp(
    image: Tensor,
    flow: Tensor,
    padding: Literal["zeros", "border"] = "border",
    mode: Literal["bilinear", "bicubic", "nearest"] = "bilinear",
) -> Tensor:
    """Sample `image` at every pixel's position plus `flow`: W(X, F) with backward bilinear interpolation.

    With `flow` from a to b, `warp(b, flow)` is aligned with a.

    Args:
        image: `[B, C, H, W]`.
        flow: `[B, 2, H, W]`, (dx, dy) in pixels.
        padding: what lies outside the image: zeros, or the nearest edge pixel.

    Returns:
        `[B, C, H, W]` in the dtype of `image`; sampling positions are computed in float32.
    """
    height, width = flow.shape[-2:]
    position = coordinates(height, width, flow.float()) + flow.float()
    scale = position.new_tensor([2.0 / max(width - 1, 1), 2.0 / max(height - 1, 1)]).view(1, 2, 1, 1)
    grid = (position * scale - 1.0).permute(0, 2, 3, 1)
    sampled = F.grid_sample(image.float(), grid, mode=mode, padding_mode=padding, align_corners=True)
    return sampled.to(image.dtype)
