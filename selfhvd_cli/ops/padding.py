"""Padding of pictures to the sizes a network takes, and the cut back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
    images: Tensor, multiple_of: int, min_size: int = 1, where: Literal["end", "around"] = "end"
) -> tuple[Tensor, Padding]:
    """Repeat the edge pixels until both sides are multiples of `multiple_of` and at least `min_size`.

    Args:
        images: `[..., H, W]`, any number of leading axes, H and W at least 1.
        where: at the bottom and right (`end`), or split evenly with the odd pixel at the end (`around`).

    Returns:
        The extended pictures (the same tensor when nothing was missing) and the `Padding` that cuts them back.
    """
    height, width = images.shape[-2:]
    rows = -(-max(height, min_size) // multiple_of) * multiple_of - height
    columns = -(-max(width, min_size) // multiple_of) * multiple_of - width
    top, left = (rows // 2, columns // 2) if where == "around" else (0, 0)
    padding = Padding(left, columns - left, top, rows - top)
    if not rows and not columns:
        return images, padding
    flat = images.reshape(-1, 1, height, width)
    padded = F.pad(flat, (padding.left, padding.right, padding.top, padding.bottom), mode="replicate")
    return padded.view(*images.shape[:-2], *padded.shape[-2:]), padding
