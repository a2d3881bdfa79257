"""Planes of a decoded picture ↔ RGB float, in the stream's own transfer curve.

Pictures are handled in planar form: YUV of any subsampling, GBR or grey, 8 to 16 bits. What a decoder gives in
another form (nv12, p010, packed or palette) is first rearranged to the nearest planar format, which loses nothing.

The way back adds a *change* to the stored planes instead of converting a whole picture: `yuv + M·(restored - rgb)`.
An unchanged picture is thus bit-exact, codes outside [0, 1] survive, and no rounding of conversions reaches a file.

The two loops work on bands of rows that fit the processor's cache: 5-7 ms each way for 1920×1080 on two cores, a
third of what whole-plane operations take.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import av
import cv2
import numpy as np
import torch
from av.video.format import VideoFormat
from torch import Tensor

BAND = 60
"""Rows of luma worked on at a time (even, so that bands end between chroma rows)."""

UNKNOWN_MATRIX = 2
"""FFmpeg's number for a stream that does not say which matrix it uses."""

LUMA_WEIGHTS: dict[int, tuple[float, float]] = {
    1: (0.2126, 0.0722),  # BT.709
    4: (0.30, 0.11),  # FCC
    5: (0.299, 0.114),  # BT.470 B/G, BT.601 625 lines
    6: (0.299, 0.114),  # SMPTE 170M, BT.601 525 lines
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020
    10: (0.2627, 0.0593),
    12: (0.2126, 0.0722),  # derived from the primaries: seen as BT.709
    13: (0.2126, 0.0722),
    14: (0.2627, 0.0593),  # ICtCp: seen as BT.2020, the nearest linear matrix
}
"""(Kr, Kb) of ITU-T H.273 table 4, by FFmpeg's number."""

GUESSED_WEIGHTS = LUMA_WEIGHTS[5]
"""FFmpeg converts untagged pictures of any size by BT.601; so do we, and the guess is never written to a file."""


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


@dataclass(frozen=True)
class Signal:
    """How the codes of a stream relate to light signals."""

    matrix: int = UNKNOWN_MATRIX
    """FFmpeg's colour space number."""

    full_range: bool = False
    left_sited: bool = True
    """Chroma lies above the left luma column (MPEG-2 and later), not between two (JPEG)."""

    @property
    def weights(self) -> tuple[float, float]:
        return LUMA_WEIGHTS.get(self.matrix, GUESSED_WEIGHTS)


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
    """The planar format that holds every code of pixel format `name`; itself where its planes can be used."""
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


def to_format(picture: av.VideoFrame, name: str, signal: Signal) -> av.VideoFrame:
    """`picture` in pixel format `name`, range and matrix unchanged; the picture itself where it has that format."""
    if picture.format.name == name:
        return picture
    both = 2 if signal.full_range else 1
    return picture.reformat(format=name, src_color_range=both, dst_color_range=both)


def planes_of(picture: av.VideoFrame) -> list[Tensor]:
    """The planes of a planar picture as integer tensors `[h, w]` that share its memory."""
    layout = layout_of(picture.format.name)
    assert layout is not None, picture.format.name
    dtype = np.uint8 if layout.bits == 8 else np.uint16
    planes = []
    for plane in picture.planes:
        if plane.line_size < 0:
            raise ValueError("pictures stored upside down have to be reformatted first")
        codes = np.frombuffer(memoryview(plane), dtype).reshape(plane.height, plane.line_size // dtype().itemsize)
        planes.append(torch.from_numpy(codes[:, : plane.width]))
    return planes


def to_rgb(picture: av.VideoFrame, signal: Signal) -> Tensor:
    """A planar picture as `[3, H, W]` float32 RGB, clipped to [0, 1], in the stream's transfer curve."""
    layout = layout_of(picture.format.name)
    assert layout is not None, picture.format.name
    planes = planes_of(picture)
    height, width = planes[0].shape
    rgb = torch.empty(3, height, width)
    if layout.kind != "yuv":
        order = (2, 0, 1) if layout.kind == "gbr" else (0, 0, 0)
        for target, source in zip(rgb, order, strict=True):
            target.copy_(planes[source]).mul_(1 / layout.top)
        return rgb
    offset, scale, middle, chroma_scale = _codes(layout, signal)
    for target, chroma in zip(rgb, _chroma_rgb(planes[1], planes[2], middle, chroma_scale, signal), strict=True):
        _upsample(chroma, target, layout, signal)
    for top in range(0, height, BAND):
        luma = planes[0][top : top + BAND].to(torch.float32).sub_(offset).mul_(1 / scale)
        for target in rgb:
            target[top : top + BAND].add_(luma).clamp_(0, 1)
    return rgb


def add_change(picture: av.VideoFrame, before: Tensor, after: Tensor, signal: Signal) -> None:
    """Add the difference of two RGB pictures `[3, H, W]` to a writable planar picture, in its own codes.

    Chroma takes the difference averaged over the luma samples it stands for. Values of `after` outside [0, 1] are
    clipped; where it is not finite the picture stays as it is.
    """
    layout = layout_of(picture.format.name)
    assert layout is not None, picture.format.name
    planes = planes_of(picture)
    height, width = planes[0].shape
    if layout.kind == "gbr":
        for plane, source in zip(planes, (1, 2, 0), strict=False):
            for top in range(0, height, BAND):
                rows = slice(top, top + BAND)
                change = _change(before[source, rows], after[source, rows]).mul_(layout.top)
                _add(plane[rows], change, layout.top)
        return
    red_weight, blue_weight = signal.weights
    weights = (red_weight, 1 - red_weight - blue_weight, blue_weight)
    scale = float(layout.top) if layout.kind == "gray" else _codes(layout, signal)[1]
    chroma = _ChromaChange(layout, signal, height, width) if layout.kind == "yuv" else None
    for top in range(0, height, BAND):
        rows = slice(top, top + BAND)
        change = _change(before[:, rows], after[:, rows])
        if chroma is not None:
            chroma.gather(change, top)
        luma = change[0].mul_(weights[0] * scale)
        luma.add_(change[1], alpha=weights[1] * scale).add_(change[2], alpha=weights[2] * scale)
        _add(planes[0][rows], luma, layout.top)
    if chroma is not None:
        for plane, part in zip(planes[1:3], chroma.codes(), strict=True):
            _add(plane, part, layout.top)


class _ChromaChange:
    """The change of an RGB picture on the grid of the chroma samples."""

    def __init__(self, layout: PixelLayout, signal: Signal, height: int, width: int) -> None:
        self.layout, self.signal = layout, signal
        self.mean = torch.empty(3, -(-height // layout.sub_y), -(-width // layout.sub_x))

    def gather(self, change: Tensor, top: int) -> None:
        """Average a band of rows `[3, h, W]` that begins at luma row `top`."""
        sub_x, sub_y = self.layout.sub_x, self.layout.sub_y
        first = top // sub_y
        height, width = -(-change.shape[1] // sub_y), self.mean.shape[2]
        pad = (width * sub_x - change.shape[2], height * sub_y - change.shape[1])
        if any(pad):
            change = torch.nn.functional.pad(change[None], (0, pad[0], 0, pad[1]), mode="replicate")[0]
        for target, plane in zip(self.mean, change, strict=True):
            if sub_x == sub_y == 1:
                target[first : first + height] = plane
            else:
                rows = target[first : first + height]
                cv2.resize(plane.numpy(), (width, height), dst=rows.numpy(), interpolation=cv2.INTER_AREA)

    def codes(self) -> tuple[Tensor, Tensor]:
        """The change of Cb and Cr in codes."""
        red_weight, blue_weight = self.signal.weights
        red, green, blue = self.mean
        luma = red * red_weight
        luma.add_(green, alpha=1 - red_weight - blue_weight).add_(blue, alpha=blue_weight)
        chroma_scale = _codes(self.layout, self.signal)[3]
        cb = (blue - luma).mul_(chroma_scale / (2 * (1 - blue_weight)))
        cr = (red - luma).mul_(chroma_scale / (2 * (1 - red_weight)))
        if self.signal.left_sited and self.layout.sub_x == 2:
            return _shift_quarter(cb, -1), _shift_quarter(cr, -1)
        return cb, cr


def _codes(layout: PixelLayout, signal: Signal) -> tuple[float, float, float, float]:
    """Black level and span of luma, middle and span of chroma, in codes (ITU-T H.273, equations 20-31)."""
    step = 1 << (layout.bits - 8)
    if signal.full_range:
        return 0.0, float(layout.top), 128.0 * step, float(layout.top)
    return 16.0 * step, 219.0 * step, 128.0 * step, 224.0 * step


def _chroma_rgb(cb: Tensor, cr: Tensor, middle: float, scale: float, signal: Signal) -> tuple[Tensor, Tensor, Tensor]:
    """What chroma adds to luma in each of R, G, B, on the chroma grid."""
    red_weight, blue_weight = signal.weights
    green_weight = 1 - red_weight - blue_weight
    blue = cb.to(torch.float32).sub_(middle).mul_(2 * (1 - blue_weight) / scale)
    red = cr.to(torch.float32).sub_(middle).mul_(2 * (1 - red_weight) / scale)
    green = blue * (-blue_weight / green_weight)
    green.add_(red, alpha=-red_weight / green_weight)
    return red, green, blue


def _upsample(chroma: Tensor, target: Tensor, layout: PixelLayout, signal: Signal) -> None:
    """Write a chroma plane, interpolated linearly, into a luma-sized plane."""
    if layout.sub_x == layout.sub_y == 1:
        target.copy_(chroma)
        return
    if signal.left_sited and layout.sub_x == 2:
        chroma = _shift_quarter(chroma, 1)
    size = (chroma.shape[1] * layout.sub_x, chroma.shape[0] * layout.sub_y)
    if size == (target.shape[1], target.shape[0]):
        cv2.resize(chroma.numpy(), size, dst=target.numpy(), interpolation=cv2.INTER_LINEAR)
        return
    whole = cv2.resize(chroma.numpy(), size, interpolation=cv2.INTER_LINEAR)
    target.copy_(torch.from_numpy(whole[: target.shape[0], : target.shape[1]]))


def _shift_quarter(plane: Tensor, direction: int) -> Tensor:
    """A plane read a quarter of its own sample to the right (1) or the left (-1): between left and central siting."""
    if plane.shape[1] < 2:
        return plane
    moved = plane * 0.75
    if direction > 0:
        moved[:, :-1].add_(plane[:, 1:], alpha=0.25)
        moved[:, -1:].add_(plane[:, -1:], alpha=0.25)
    else:
        moved[:, 1:].add_(plane[:, :-1], alpha=0.25)
        moved[:, :1].add_(plane[:, :1], alpha=0.25)
    return moved


def _change(before: Tensor, after: Tensor) -> Tensor:
    return torch.clamp(after, 0, 1).sub_(before).nan_to_num_(0, 0, 0)


def _add(plane: Tensor, change: Tensor, top: int) -> None:
    plane.copy_(change.add_(plane).round_().clamp_(0, top))
