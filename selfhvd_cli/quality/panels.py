"""Pictures put together for the eye: two views beside each other or split, with labels, and sheets of crops."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from selfhvd_cli.ops.sharpness import gray
from selfhvd_cli.ops.stencil import laplacian

Picture = NDArray[np.uint8]
"""`[H, W, 3]`, RGB."""

GAP = 4
"""Pixels between panels."""


def as_codes(picture: Tensor) -> Picture:
    """`[3, H, W]` in [0, 1] as 8-bit codes."""
    codes: Picture = (picture.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    return np.ascontiguousarray(codes)


def labelled(picture: Picture, text: str, size: int | None = None) -> Picture:
    """The picture with a small caption in its upper left corner."""
    from PIL import Image, ImageDraw

    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image, "RGBA")
    height = size or max(11, round(min(picture.shape[:2]) / 28))
    font = _font(height)
    text = _fitting(draw, text, font, picture.shape[1] - height)
    left, top, right, bottom = draw.textbbox((height // 2, height // 2), text, font=font)
    pad = height // 4
    draw.rectangle((left - pad, top - pad, right + pad, bottom + pad), fill=(0, 0, 0, 150))
    draw.text((height // 2, height // 2), text, fill=(255, 255, 255, 255), font=font)
    return np.asarray(image)


def beside(first: Picture, second: Picture) -> Picture:
    """Both pictures next to each other."""
    gap = np.zeros((first.shape[0], GAP, 3), np.uint8)
    return np.concatenate((first, gap, second), axis=1)


def split(first: Picture, second: Picture, position: float = 0.5) -> Picture:
    """The first picture left of a line, the second right of it."""
    column = round(first.shape[1] * position)
    out = second.copy()
    out[:, :column] = first[:, :column]
    out[:, max(0, column - 1) : column + 1] = 255
    return out


def liveliest(picture: Tensor, height: int, width: int) -> tuple[int, int]:
    """Row and column of the crop with the most detail, where sharpness can be judged.

    Args:
        picture: `[3, H, W]`.
        height, width: of the crop, no larger than the picture.
    """
    energy = laplacian(gray(picture.float().unsqueeze(0))).abs().clamp(max=0.2)  # one light must not decide
    means = F.avg_pool2d(energy, (height, width), stride=max(1, min(height, width) // 4))
    place = int(means.flatten().argmax())
    step = max(1, min(height, width) // 4)
    return place // means.shape[-1] * step, place % means.shape[-1] * step


def sheet(rows: Sequence[Sequence[Picture]], captions: Sequence[str], headings: Sequence[str]) -> Picture:
    """Crops in rows, a caption above each row and a heading above each column."""
    width = sum(cell.shape[1] for cell in rows[0]) + GAP * (len(rows[0]) - 1)
    size = max(13, width // 60)
    bands: list[Picture] = [_band(width, size, _columns(rows[0], headings))]
    for caption, row in zip(captions, rows, strict=True):
        bands.append(_band(width, size, [(0, caption)]))
        cells: list[Picture] = []
        for cell in row:
            cells += [cell, np.full((cell.shape[0], GAP, 3), 255, np.uint8)]
        bands.append(np.concatenate(cells[:-1], axis=1))
    return np.concatenate(bands, axis=0)


def _columns(row: Sequence[Picture], headings: Sequence[str]) -> list[tuple[int, str]]:
    starts = np.cumsum([0, *(cell.shape[1] + GAP for cell in row)])
    return [(int(start), heading) for start, heading in zip(starts, headings, strict=False)]


def _band(width: int, size: int, texts: Sequence[tuple[int, str]]) -> Picture:
    """A white strip with words."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (width, round(size * 1.9)), "white")
    draw = ImageDraw.Draw(image)
    ends = [*(start for start, _ in texts[1:]), width]
    for (start, text), end in zip(texts, ends, strict=True):
        fitting = _fitting(draw, text, _font(size), end - start - size)
        draw.text((start + size // 2, size * 0.35), fitting, "black", _font(size))
    return np.asarray(image)


def _fitting(draw: Any, text: str, font: Any, width: float) -> str:
    """The text, or its beginning and an ellipsis if it is too long."""
    if draw.textlength(text, font=font) <= width:
        return text
    while text and draw.textlength(text + "...", font=font) > width:
        text = text[:-1]
    return text + "..."


@cache
def _font(size: int) -> Any:
    import matplotlib
    from PIL import ImageFont

    # It brings a font with the letters of most names; Pillow's own knows little more than ASCII.
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)
