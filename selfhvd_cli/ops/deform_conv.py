"""Modulated deformable convolution (DCNv2, Zhu et al., CVPR 2019) by torchvision's operator or in plain torch."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.ops.bilinear_rows import corner_rows, rows_with_border
from selfhvd_cli.ops.warp import coordinates

OPERATOR_DEVICES = ("cuda",)
"""Devices on which torchvision's operator is used. Its CPU form runs on one thread and takes three times as long as
sampling in plain torch, and seven times as long with gradients (128 -> 64 channels at 64x64)."""

CACHE_BYTES = 4 << 20
"""Sampled values held at a time by `by_rows`: they stay in the cache between sampling and product."""


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
        learns = torch.is_grad_enabled() and any(x.requires_grad for x in values)
        if images.device.type == "cpu" and not learns:
            return by_rows(*values, bias).to(images.dtype)
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


def by_rows(images: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The same in half the time on a CPU, where no gradient is wanted: mask and bilinear shares are one weight."""
    batch, channels, height, width = images.shape
    kernel = weight.shape[-1]
    taps = kernel * kernel
    groups = mask.shape[1] // taps
    rows = rows_with_border(images.unsqueeze(1)).view(batch, -1, channels // groups)
    moves = offset.permute(0, 2, 3, 1).reshape(batch, -1, 1, groups, taps, 2)
    weights = mask.permute(0, 2, 3, 1).reshape(batch, -1, groups, 1, taps)
    # [O, C, k, k] -> [groups taps C/groups, O], the order in which the samples of a pixel come.
    matrix = weight.view(len(weight), groups, -1, taps).transpose(2, 3).flatten(1).t()
    group = torch.arange(groups, dtype=torch.int32).view(-1, 1, 1, 1)
    result = images.new_empty(batch, height * width, len(weight))
    step = max(width, CACHE_BYTES // (4 * len(matrix)))
    for b in range(batch):
        for start in range(0, height * width, step):
            part = slice(start, min(start + step, height * width))
            corners, shares = corner_rows(moves[b, part], start, height, width, kernel, [0], weights[b, part])
            indices = (corners * groups + group).view(-1, 4)
            samples = F.embedding_bag(indices, rows[b], per_sample_weights=shares.view(-1, 4), mode="sum")
            torch.mm(samples.view(-1, len(matrix)), matrix, out=result[b, part])
    if bias is not None:
        result += bias
    return result.unflatten(1, (height, width)).permute(0, 3, 1, 2)


def by_sampling(images: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The same in plain torch, on any device: sample the taps bilinearly, then add them up by a 1x1 convolution."""
    batch, _, height, width = images.shape
    kernel = weight.shape[-1]
    taps = kernel * kernel
    groups = mask.shape[1] // taps
    step = torch.arange(kernel, device=images.device, dtype=images.dtype) - kernel // 2
    tap = torch.stack(torch.meshgrid(step, step, indexing="ij"), dim=-1).view(1, taps, 2, 1, 1)
    home = coordinates(height, width, images).flip(1).unsqueeze(1) + tap
    scale = home.new_tensor([2 / max(height - 1, 1), 2 / max(width - 1, 1)]).view(1, 1, 2, 1, 1)
    parts = zip(*(x.chunk(groups, dim=1) for x in (images, offset, mask, weight)), strict=True)
    total: Tensor | None = None
    # Group by group: all sampled taps at once would take k*k times the memory of the images.
    for image, shift, part, kernel_weight in parts:
        place = (home + shift.view(batch, taps, 2, height, width)) * scale - 1
        grid = place.flip(2).permute(0, 1, 3, 4, 2).reshape(batch, taps * height, width, 2)
        sampled = F.grid_sample(image, grid, align_corners=True).view(batch, -1, taps, height, width)
        columns = (sampled * part.unsqueeze(1)).view(batch, -1, height, width)
        product = F.conv2d(columns, kernel_weight.reshape(weight.shape[0], -1, 1, 1))
        total = product if total is None else total + product
    assert total is not None
    return total if bias is None else total + bias.view(1, -1, 1, 1)
