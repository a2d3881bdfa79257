"""Spatial tiles with blended seams: a window of frames restored piece by piece."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from selfhvd_cli.ops.constants import numbers


def tile_spans(size: int, tile: int, overlap: int, multiple_of: int = 1) -> list[tuple[int, int]]:
    """Cover `size` pixels with spans of about `tile` that share at least `overlap`, spread evenly.

    Starts lie on multiples of `multiple_of`, so that a network with strides sees the same grid as in the whole frame;
    therefore a span may be up to `multiple_of - 1` longer than `tile`.
    """
    if not 0 <= overlap < tile:
        raise ValueError(f"overlap must lie in [0, tile), got {overlap} of {tile}")
    if size <= tile:
        return [(0, size)]
    stride = tile - overlap
    count = math.ceil((size - overlap) / stride)
    last = size - tile
    starts = [round(index * last / (count - 1)) // multiple_of * multiple_of for index in range(count)]
    spans = [(start, min(start + tile + multiple_of - 1, size)) for start in starts]
    return [*spans[:-1], (spans[-1][0], size)]


@dataclass(frozen=True)
class Area:
    """A part of every frame of a window."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    def of(self, frames: Tensor) -> Tensor:
        """The view `[..., bottom - top, right - left]` of `[..., H, W]`."""
        return frames[..., self.top : self.bottom, self.left : self.right]


def tiled_pixels(height: int, width: int, tile: int | None, overlap: int) -> int:
    """Pixels of all tiles of a frame: more than it has, where they overlap."""
    if tile is None:
        return height * width
    total = 1
    for size in (height, width):
        count = 1 if size <= tile else -(-(size - overlap) // (tile - overlap))
        total *= count * min(tile, size)
    return total


def restore_tiled(
    restore: Callable[[Area], Tensor],
    height: int,
    width: int,
    tile: int | None,
    overlap: int = 0,
    multiple_of: int = 1,
) -> Tensor:
    """Restore frames tile by tile.

    Args:
        restore: gives the result for an area, `[..., h, w]`.
        height, width: of the frames.
        tile: side of a tile in pixels; None restores the whole frame in one go.
        overlap: pixels neighbouring tiles share.
        multiple_of: grid on which tiles start.

    Returns:
        `[..., H, W]`. A third of the overlap at each tile's border is not used at all (there the network lacked its
        surroundings), the middle third is blended; where two tiles agree, the blend is exact.
    """
    if tile is None or (height <= tile and width <= tile):
        return restore(Area(0, height, 0, width))
    canvas: Tensor | None = None
    rows = tile_spans(height, tile, overlap, multiple_of)
    columns = tile_spans(width, tile, overlap, multiple_of)
    bottom_done = 0
    for top, bottom in rows:
        strip: Tensor | None = None
        right_done = 0
        for left, right in columns:
            piece = restore(Area(top, bottom, left, right))
            if strip is None:
                strip = piece.new_empty((*piece.shape[:-1], width))
            paste(strip, piece, -1, left, right_done)
            right_done = right
        assert strip is not None
        if canvas is None:
            canvas = strip.new_empty((*strip.shape[:-2], height, width))
        paste(canvas, strip, -2, top, bottom_done)
        bottom_done = bottom
    assert canvas is not None
    return canvas


def paste(canvas: Tensor, piece: Tensor, axis: int, start: int, done: int) -> None:
    """Put `piece` into `canvas` from `start` on along `axis`, blended with what is `done` there already, in place."""
    shared = done - start
    if shared > 0:
        weight = numbers(seam_weights(shared), canvas.device).to(canvas.dtype)
        weight = weight.view([-1 if dim == axis else 1 for dim in range(-canvas.dim(), 0)])
        # lerp is exact where both agree, which a sum of two weighted pictures is not.
        canvas.narrow(axis, start, shared).lerp_(piece.narrow(axis, 0, shared), weight)
    size = piece.shape[axis]
    fresh = max(shared, 0)
    canvas.narrow(axis, start + fresh, size - fresh).copy_(piece.narrow(axis, fresh, size - fresh))


@cache
def seam_weights(shared: int) -> tuple[float, ...]:
    """Weight of the later piece for each of `shared` pixels: zero, a raised cosine, one, a third each."""
    position = (torch.arange(shared, dtype=torch.float32) + 0.5) / shared
    ramp = (3.0 * position - 1.0).clamp(0.0, 1.0)
    return tuple((0.5 - 0.5 * torch.cos(math.pi * ramp)).tolist())
