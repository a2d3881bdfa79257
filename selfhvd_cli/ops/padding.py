"""Padding of pictures in space and of clips in time to what a network takes, and the cut back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Padding:
    """How much was added at each side, in pixels."""

    left: int
    right: int
    top: int
    bottom: int

    def crop(self, images: Tensor, scale: int = 1) -> Tensor:
        """Cut `images` `[..., H, W]`, `scale` times as large as the padded ones, back to the picture."""
        bottom = images.shape[-2] - self.bottom * scale
        right = images.shape[-1] - self.right * scale
        return images[..., self.top * scale : bottom, self.left * scale : right]


def pad_size(
    images: Tensor,
    multiple_of: int,
    min_size: int = 1,
    where: Literal["end", "around"] = "end",
    mode: Literal["replicate", "mirror"] = "replicate",
) -> tuple[Tensor, Padding]:
    """Extend pictures until both sides are multiples of `multiple_of` and at least `min_size`.

    Args:
        images: `[..., H, W]`, any number of leading axes, H and W at least 1.
        where: at the bottom and right (`end`), or split evenly with the odd pixel at the end (`around`).
        mode: repeat the edge pixel, or mirror the picture with the edge pixel included (`mirror`; pictures
            smaller than the margin are mirrored again and again).

    Returns:
        The extended pictures (the same tensor when nothing was missing) and the `Padding` that cuts them back.
    """
    height, width = images.shape[-2:]
    missing_rows = _target(height, multiple_of, min_size) - height
    missing_columns = _target(width, multiple_of, min_size) - width
    top = missing_rows // 2 if where == "around" else 0
    left = missing_columns // 2 if where == "around" else 0
    padding = Padding(left, missing_columns - left, top, missing_rows - top)
    if not missing_rows and not missing_columns:
        return images, padding
    if mode == "mirror":
        rows = mirrored_indices(height, top, padding.bottom, images.device)
        columns = mirrored_indices(width, left, padding.right, images.device)
        return images[..., rows, :][..., columns], padding
    flat = images.reshape(-1, 1, height, width)
    sides = (padding.left, padding.right, padding.top, padding.bottom)
    padded = F.pad(flat, sides, mode="replicate")
    return padded.view(*images.shape[:-2], *padded.shape[-2:]), padding


def _target(size: int, multiple_of: int, min_size: int) -> int:
    return -(-max(size, min_size) // multiple_of) * multiple_of


def mirrored_indices(length: int, before: int, after: int, device: torch.device | None = None) -> Tensor:
    """Indices 1 0 | 0 1 2 | 2 1 that mirror a row of `length` at both ends, edge included, any number of times."""
    index = torch.arange(-before, length + after, device=device) % (2 * length)
    return torch.where(index < length, index, 2 * length - 1 - index)


def pad_time(frames: Tensor, before: int, after: int) -> Tensor:
    """Extend a batch of clips `[B, T, 3, H, W]` by mirrored frames, edge included (1 0 | 0 1 2 | 2 1).

    A mirrored neighbour moves at the speed of the real one, so that recurrent networks see no standing frames
    except at the edge itself; clips shorter than the margin are mirrored again and again.
    """
    if before == 0 and after == 0:
        return frames
    return frames[:, mirrored_indices(frames.shape[1], before, after, frames.device)]
