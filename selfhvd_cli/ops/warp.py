"""Backward bilinear warp, the W(X, F) of the paper."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.ops.blocks import resized
from selfhvd_cli.ops.phases import split


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
    grid = (position * _scale(width, height, position) - 1.0).permute(0, 2, 3, 1)
    return _sample(image.float(), grid, padding, mode).to(image.dtype)


def warp_phases(image: Tensor, flow: Tensor, factor: int) -> Tensor:
    """`warp` with a flow that is known at a fraction of the size, enlarged bilinearly; the result in its `phases`.

    The positions are enlarged in place of the flow, which is the same and saves three passes over the full size.

    Args:
        image: `[B, C, H, W]`.
        flow: `[B, 2, H / factor, W / factor]`, (dx, dy) in pixels of `image`.

    Returns:
        Phases `[B, H / factor, C, factor², W / factor]`; what lies outside the image is its nearest edge pixel.
    """
    height, width = flow.shape[-2:]
    # Beyond the edge the flow is repeated, as enlarging does, while positions must go on.
    around = F.pad(flow.float(), (1, 1, 1, 1), mode="replicate")
    index = coordinates(height + 2, width + 2, around)
    position = around + (index - 0.5) * factor - 0.5
    grid = position * _scale(width * factor, height * factor, position) - 1.0
    grid = resized(grid, ((height + 2) * factor, (width + 2) * factor))
    inner = grid[..., factor:-factor, factor:-factor].permute(0, 2, 3, 1)
    strips = _strips(image, inner, factor)
    if image.shape[0] > 1 or strips == 1:
        return split(_sample(image.float(), inner, "border", "bilinear").to(image.dtype), factor)
    # The phases of strips, one after the other, are those of the picture.
    parts = _in_strips(image.float(), inner[0], strips, "border", "bilinear")
    return split(parts.to(image.dtype), factor).flatten(0, 1).unsqueeze(0)


def _scale(width: int, height: int, like: Tensor) -> Tensor:
    """Factors `[1, 2, 1, 1]` from pixels to the units of `grid_sample`, in which a picture is 2 wide and 2 high."""
    return like.new_tensor([2.0 / max(width - 1, 1), 2.0 / max(height - 1, 1)]).view(1, 2, 1, 1)


def _sample(image: Tensor, grid: Tensor, padding: str, mode: str) -> Tensor:
    """`F.grid_sample`; as on a CPU that gives each picture to one thread, few pictures are sampled in strips."""
    if grid.requires_grad:
        # Its way back reads wild addresses at positions that are no numbers (torch 2.15, borders repeated); its way
        # there takes them for the corner.
        grid = torch.nan_to_num(grid, nan=-1.0)
    strips = _strips(image, grid)
    if strips == 1:
        return F.grid_sample(image, grid, mode=mode, padding_mode=padding, align_corners=True)
    count, height, width = grid.shape[:3]
    sampled = image.new_empty(count, image.shape[1], strips, height // strips, width)
    for picture, positions, result in zip(image.split(1), grid, sampled, strict=True):
        result.copy_(_in_strips(picture, positions, strips, padding, mode).transpose(0, 1))
    return sampled.flatten(2, 3)


def _in_strips(picture: Tensor, positions: Tensor, strips: int, padding: str, mode: str) -> Tensor:
    """A picture `[1, C, h, w]` sampled at `[H, W, 2]`: strips `[S, C, H / S, W]`."""
    return F.grid_sample(
        picture.expand(strips, -1, -1, -1), positions.unflatten(0, (strips, -1)),
        mode=mode, padding_mode=padding, align_corners=True,
    )  # fmt: skip


def _strips(image: Tensor, grid: Tensor, multiple: int = 1) -> int:
    """How many strips keep all threads busy; 1 where there is nothing to gain.

    Args:
        multiple: of rows that every strip must have.
    """
    threads = torch.get_num_threads()
    count, height, width = grid.shape[:3]
    small = height * width < 1 << 15
    if image.device.type != "cpu" or image.requires_grad or grid.requires_grad or small or count % threads == 0:
        return 1
    return next((strips for strips in range(threads, 4 * threads) if height % (strips * multiple) == 0), 1)
