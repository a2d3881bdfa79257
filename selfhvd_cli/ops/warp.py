"""Backward bilinear warp, the W(X, F) of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.ops.constants import spaced


def coordinates(height: int, width: int, like: Tensor) -> Tensor:
    """Pixel coordinates `[1, 2, H, W]`, (x, y), on the device and in the dtype of `like`."""
    x, y = (spaced(0, side - 1, side, like.device).to(like.dtype) for side in (width, height))
    return torch.stack((x.expand(height, width), y.unsqueeze(1).expand(height, width))).unsqueeze(0)


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
    grid = _positions(flow.float(), flow.shape[-2:])
    return _sample(image.float(), grid.permute(0, 2, 3, 1), padding, mode).to(image.dtype)


def warp_phases(image: Tensor, flow: Tensor, factor: int) -> Tensor:
    """`warp` with a flow that is known at a fraction of the size, enlarged bilinearly; the result in its `phases`.

    The positions are enlarged in place of the flow, which is the same and saves three passes over the full size, and
    come in phases themselves, so that the samples need not be put in order.

    Args:
        image: `[B, C, H, W]`.
        flow: `[B, 2, H / factor, W / factor]`, (dx, dy) in pixels of the small size, `factor` of `image` each.
        factor: even.

    Returns:
        Phases `[B, H / factor, C, W / factor, factor²]`; what lies outside the image is its nearest edge pixel.
    """
    height, width = flow.shape[-2:]
    # Beyond the edge the flow is repeated, as enlarging does, while positions must go on.
    around = F.pad(flow.float(), (1, 1, 1, 1), mode="replicate")
    grid = _positions(around, (height * factor, width * factor), factor, border=1)
    phases = _enlarged(grid, factor).permute(0, 2, 3, 4, 1)
    picture = image.float()
    if len(image) == 1 and _may_be_repeated(image, flow):
        # Every row of cells is a strip of its own.
        return _in_strips(picture, phases[0], "border", "bilinear").to(image.dtype).unsqueeze(0)
    sampled = _sample(picture, phases.flatten(1, 2), "border", "bilinear").to(image.dtype)
    return sampled.unflatten(2, (height, width)).transpose(1, 2).contiguous()


def _positions(flow: Tensor, size: Sequence[int], factor: int = 1, border: int = 0) -> Tensor:
    """Where a flow leads, `[B, 2, h, w]`, in the units of `grid_sample`: the centres of corner pixels are at ±1.

    Args:
        flow: (dx, dy) in its own pixels.
        size: (H, W) of the picture.
        factor: pixels of the picture to one of the flow.
        border: pixels of the flow beyond each edge of the picture.
    """
    ways = []
    for way, (count, side) in enumerate(zip(flow.shape[2:], size, strict=True)):
        unit = 2.0 / max(side - 1, 1)
        edge = 1.0 + unit * (border * factor - (factor - 1) / 2)
        here = spaced(-edge, edge, count, flow.device).unflatten(0, ((-1, 1), (1, -1))[way])
        ways.append(torch.add(here, flow[:, 1 - way], alpha=unit * factor))
    return torch.stack((ways[1], ways[0]), dim=1)


def _enlarged(coarse: Tensor, factor: int) -> Tensor:
    """Phases `[N, C, h, w, factor²]` of a map `[N, C, h + 2, w + 2]` enlarged bilinearly, without its first and last
    rows and columns; `factor` is even."""
    if coarse.device.type == "cpu":
        # A convolution that writes the phases of a cell side by side, from one channel in channels-last order.
        with torch.autocast("cpu", enabled=False):
            cells = F.conv2d(coarse.flatten(0, 1).unsqueeze(-1).permute(0, 3, 1, 2), _enlarging(factor))
        return cells.permute(0, 2, 3, 1).unflatten(0, coarse.shape[:2])
    # Other devices may round what convolutions read.
    height, width = coarse.shape[2] - 2, coarse.shape[3] - 2
    away = _away(factor, coarse.device).abs().view(2, -1)
    sides = coarse.unfold(2, height, 2).permute(0, 1, 4, 3, 2).unsqueeze(5)
    rows = torch.lerp(coarse[:, :, 1:-1, :, None, None], sides, away).flatten(4, 5)
    sides = rows.unfold(3, width, 2).permute(0, 1, 2, 5, 4, 3).unsqueeze(6)
    return torch.lerp(rows[:, :, :, 1:-1, :, None, None], sides, away).flatten(4, 6)


@cache
def _enlarging(factor: int) -> Tensor:
    """Kernels `[factor², 1, 3, 3]` that give the phases of a cell of the values around it."""
    with torch.inference_mode(False):
        away = _away(factor, torch.device("cpu"))
        shares = torch.stack(((-away).clamp_min(0.0), 1.0 - away.abs(), away.clamp_min(0.0)), dim=1)
        return (shares[:, None, :, None] * shares[None, :, None, :]).flatten(0, 1).unsqueeze(1)


def _away(factor: int, device: torch.device) -> Tensor:
    """How far phases lie from the value of their cell, `[factor]`, in cells: the first half between it and the one
    before, the second between it and the one behind."""
    outer = 0.5 - 0.5 / factor
    return spaced(-outer, outer, factor, device)


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
        parts = _in_strips(picture, positions.unflatten(0, (strips, -1)), padding, mode)
        result.copy_(parts.transpose(0, 1))
    return sampled.flatten(2, 3)


def _in_strips(picture: Tensor, positions: Tensor, padding: str, mode: str) -> Tensor:
    """A picture `[1, C, h, w]` sampled at `[S, H, W, 2]`: strips `[S, C, H, W]`."""
    return F.grid_sample(
        picture.expand(len(positions), -1, -1, -1), positions, mode=mode, padding_mode=padding, align_corners=True
    )


def _strips(image: Tensor, grid: Tensor) -> int:
    """How many strips keep all threads busy; 1 where there is nothing to gain."""
    threads = torch.get_num_threads()
    count, height, width = grid.shape[:3]
    small = height * width < 1 << 15
    if small or count % threads == 0 or not _may_be_repeated(image, grid):
        return 1
    return next((strips for strips in range(threads, 4 * threads) if height % strips == 0), 1)


def _may_be_repeated(image: Tensor, where: Tensor) -> bool:
    """Whether each strip may be given the whole picture: not where a gradient would be kept for every one of them."""
    return image.device.type == "cpu" and not (image.requires_grad or where.requires_grad)
