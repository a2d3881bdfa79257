"""Modulated deformable convolution (DCNv2, Zhu et al., CVPR 2019), through torchvision or in plain torch."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.ops.warp import coordinates

OPERATOR_DEVICES = ("cpu", "cuda")
"""Devices for which torchvision's wheels carry the operator."""


def deform_conv2d(images: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Stride-1 convolution of odd kernel size k whose taps are moved by `offset` and weighted by `mask`.

    Computed in float32 also under autocast, because offsets are positions in pixels; zero outside the image.

    Args:
        images: `[B, C, H, W]`.
        offset: `[B, 2*G*k*k, H, W]`, laid out (group, tap, (dy, dx)), taps row by row, in pixels.
        mask: `[B, G*k*k, H, W]`, laid out (group, tap).
        weight: `[O, C, k, k]`; the G offset groups split the C input channels.
        bias: `[O]`.

    Returns:
        `[B, O, H, W]` in the dtype of `images`.
    """
    with torch.autocast(images.device.type, enabled=False):
        values = (images.float(), offset.float(), mask.float(), weight.float())
        bias = None if bias is None else bias.float()
        if images.device.type in OPERATOR_DEVICES and operator_installed():
            return _by_torchvision(*values, bias).to(images.dtype)
        return by_sampling(*values, bias).to(images.dtype)


@cache
def operator_installed() -> bool:
    """Whether a torchvision with compiled operators can be imported beside this torch."""
    try:
        import torchvision.ops  # noqa: F401
    except (ImportError, RuntimeError, OSError):  # a torchvision built for another torch fails in any of these
        return False
    return hasattr(torch.ops.torchvision, "deform_conv2d")


def _by_torchvision(images: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    from torchvision.ops import deform_conv2d as operator

    return operator(images, offset, weight, bias, padding=weight.shape[-1] // 2, mask=mask)


def by_sampling(images: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The same in plain torch, on any device: sample every tap bilinearly, then one 1x1 convolution."""
    batch, channels, height, width = images.shape
    kernel = weight.shape[-1]
    taps = kernel * kernel
    groups = mask.shape[1] // taps
    home = coordinates(height, width, images).flip(1).view(1, 1, 1, 2, height, width)
    step = torch.arange(kernel, device=images.device, dtype=images.dtype) - kernel // 2
    tap = torch.stack(torch.meshgrid(step, step, indexing="ij"), dim=-1).view(1, 1, taps, 2, 1, 1)
    place = home + tap + offset.view(batch, groups, taps, 2, height, width)
    size = place.new_tensor([max(height - 1, 1), max(width - 1, 1)]).view(1, 1, 1, 2, 1, 1)
    grid = (place * 2 / size - 1).flip(3).permute(0, 1, 2, 4, 5, 3).reshape(batch * groups, taps * height, width, 2)
    sampled = F.grid_sample(
        images.reshape(batch * groups, channels // groups, height, width), grid, align_corners=True
    )
    sampled = sampled.view(batch, groups, channels // groups, taps, height, width)
    sampled = sampled * mask.view(batch, groups, 1, taps, height, width)
    columns = sampled.view(batch, channels * taps, height, width)
    return F.conv2d(columns, weight.reshape(-1, channels * taps, 1, 1), bias)
