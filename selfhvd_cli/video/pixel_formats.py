"""Pixel formats by FFmpeg's names: how one lays out its codes, and which other one holds them with least loss."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Literal

from av.video.format import VideoFormat

RGB_MATRIX = 0
"""FFmpeg's number for the matrix of pictures whose codes are RGB."""

PICTURES = ("gray", "gray16le", "ya8", "ya16le", "yuvj444p", "rgb24", "rgb48le", "rgba", "rgba64le")
"""What pictures in files are like, the least first."""


@dataclass(frozen=True)
class PixelLayout:
    """How a planar pixel format lays out its codes."""

    kind: Literal["yuv", "gbr", "gray"]
    bits: int
    sub_x: int
    """Luma columns for one chroma sample."""

    sub_y: int
    """Luma rows for one chroma sample."""

    alpha: bool

    @property
    def top(self) -> int:
        """The largest code."""
        return (1 << self.bits) - 1


@cache
def layout_of(name: str) -> PixelLayout | None:
    """The layout of pixel format `name`, or None where its planes cannot be used as they are."""
    pixel = VideoFormat(name, 64, 64)
    parts = pixel.components
    bits = parts[0].bits
    own_planes = {part.plane for part in parts} == set(range(len(parts)))
    odd = pixel.has_palette or pixel.is_bit_stream or pixel.is_bayer
    odd = odd or any(mark in name for mark in ("f16", "f32", "msb"))
    if odd or not own_planes or not 8 <= bits <= 16 or any(part.bits != bits for part in parts):
        return None
    if bits > 8 and pixel.is_big_endian:
        return None
    alpha = len(parts) in (2, 4)
    if len(parts) <= 2:
        return PixelLayout("gray", bits, 1, 1, alpha) if name.startswith(("gray", "y")) else None
    if pixel.is_rgb:
        return PixelLayout("gbr", bits, 1, 1, alpha) if name.startswith("gbr") else None
    if not name.startswith("yuv"):
        return None
    return PixelLayout("yuv", bits, 64 // parts[1].width, 64 // parts[1].height, alpha)


@cache
def planar_format(name: str) -> str:
    """The planar format that holds every code of colour of pixel format `name`; itself where its planes can be used.

    Transparency is held too, but for that of a palette and beside grey, for which FFmpeg has no planar format.
    """
    if layout_of(name) is not None:
        return name
    pixel = VideoFormat(name, 64, 64)
    parts = pixel.components
    bits = max(part.bits for part in parts)
    depth = next(step for step in (8, 10, 12, 14, 16) if step >= min(bits, 16))
    suffix = "" if depth == 8 else f"{depth}le"
    alpha = "a" if any(part.is_alpha for part in parts) else ""
    if pixel.is_rgb or pixel.has_palette or pixel.is_bayer or name.startswith(("xyz", "pal", "mono")):
        return f"gbr{alpha}p{suffix}"
    if len(parts) <= 2:
        return f"gray{suffix}"
    ratio = (64 // parts[1].width, 64 // parts[1].height)
    chroma = {(2, 2): "420", (2, 1): "422", (1, 1): "444", (1, 2): "440", (4, 1): "411", (4, 4): "410"}[ratio]
    return f"yuv{alpha}{chroma}p{suffix}"


def is_transparent(name: str) -> bool:
    """Whether pictures of pixel format `name` have transparency; a palette's is not told by it."""
    return any(part.is_alpha for part in VideoFormat(name).components)


def becomes_yuv(source: str, matrix: int, target: str) -> bool:
    """Whether pictures of pixel format `source` hold RGB and those of `target` YUV.

    RGB are also palettes, black and white, and the grey of a picture file.

    Args:
        matrix: FFmpeg's number for the source; grey is RGB where it says so, and luma otherwise.
    """
    planar = planar_format(source)
    is_rgb = planar.startswith("gbr") or (matrix == RGB_MATRIX and planar.startswith("gray"))
    return is_rgb and planar_format(target).startswith("yuv")


def widest_format(names: Iterable[str]) -> str:
    """The pixel format that loses least of pictures in `names`: one of them, or of `PICTURES` if none holds all."""
    given = list(dict.fromkeys(names))
    wanted = [max(parts) for parts in zip(*map(_shape, given), strict=True)]

    def holds_all(name: str) -> bool:
        return all(has >= had for has, had in zip(_shape(name), wanted, strict=True))

    return next(filter(holds_all, (*given, *PICTURES)), PICTURES[-1])


def nearest_format(wanted: str, offered: list[str]) -> str | None:
    """The offered pixel format that holds `wanted` with least change: fewest lost bits, chroma and alpha first."""
    if wanted in offered:
        return wanted
    if wanted.replace("yuvj", "yuv") in offered:
        return wanted.replace("yuvj", "yuv")
    source = _shape(wanted)
    usable = [name for name in offered if not name.startswith(("cuda", "qsv", "amf", "pal", "mono", "yaf", "rgbaf"))]
    usable = [name for name in usable if "f16" not in name and "f32" not in name and not name.startswith("yuvj")]

    def loss(name: str) -> tuple[int, ...]:
        shape = _shape(name)
        lost = sum(max(0, had - has) for had, has in zip(source, shape, strict=True))
        gained = sum(max(0, has - had) for had, has in zip(source, shape, strict=True))
        repacked = name.startswith(("nv", "p0", "p2", "x2", "bgr", "rgb", "argb", "abgr", "y2", "xv", "vuy", "yuyv"))
        return lost, gained, int(repacked)

    return min(usable, key=loss, default=None)


def _shape(name: str) -> tuple[int, int, int, int, int]:
    """Bits, chroma columns, chroma rows, kind and alpha of a pixel format, each larger for more information."""
    pixel = VideoFormat(name, 64, 64)
    parts = pixel.components
    alpha = int(any(part.is_alpha for part in parts))
    if len(parts) <= 2:
        return parts[0].bits, 0, 0, 0, alpha
    colour = 2000 if pixel.is_rgb else 1000  # between RGB and YUV codes change, which outweighs all else
    return parts[0].bits, parts[1].width, parts[1].height, colour, alpha
