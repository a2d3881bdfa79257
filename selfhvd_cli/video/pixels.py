"""Planes of a decoded picture ↔ RGB float, in the stream's own transfer curve.

Pictures are handled in planar form: YUV of any subsampling, GBR or grey, 8 to 16 bits. What a decoder gives in
another form (nv12, p010, packed or palette) is first rearranged to the nearest planar format, which loses nothing.

The way back adds a *change* to the stored planes instead of converting a whole picture: `yuv + M·(restored - rgb)`.
An unchanged picture is thus bit-exact, codes outside [0, 1] survive, and no rounding of conversions reaches a file.

Both loops work on bands of rows that fit the processor's cache, in numpy rather than torch: sharing such short steps
among threads costs more than it gives, the more so where a network or an encoder keeps all cores busy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from selfhvd_cli.video.pixel_formats import PixelLayout, layout_of

Array = NDArray[Any]

BAND_SAMPLES = 100_000
"""Luma samples worked on at a time."""

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


def to_format(picture: av.VideoFrame, name: str, signal: Signal) -> av.VideoFrame:
    """`picture` in pixel format `name`, range and matrix unchanged; the picture itself where it has that format."""
    if picture.format.name == name:
        return picture
    both = 2 if signal.full_range else 1
    return picture.reformat(format=name, src_color_range=both, dst_color_range=both)


def planes_of(picture: av.VideoFrame) -> list[Tensor]:
    """The planes of a planar picture as integer tensors `[h, w]` that share its memory."""
    return [torch.from_numpy(plane) for plane in _planes(picture)]


def _planes(picture: av.VideoFrame) -> list[Array]:
    layout = layout_of(picture.format.name)
    assert layout is not None, picture.format.name
    dtype = np.uint8 if layout.bits == 8 else np.uint16
    planes = []
    for plane in picture.planes:
        if plane.line_size < 0:
            raise ValueError("pictures stored upside down have to be reformatted first")
        codes = np.frombuffer(memoryview(plane), dtype).reshape(plane.height, plane.line_size // dtype().itemsize)
        planes.append(codes[:, : plane.width])
    return planes


def to_rgb(picture: av.VideoFrame, signal: Signal) -> Tensor:
    """A planar picture as `[3, H, W]` float32 RGB, clipped to [0, 1], in the stream's transfer curve."""
    layout = layout_of(picture.format.name)
    assert layout is not None, picture.format.name
    planes = _planes(picture)
    height, width = planes[0].shape
    result = torch.empty(3, height, width)
    rgb = result.numpy()
    offset, scale, _, _ = code_range(layout, signal)
    order = {"gbr": (2, 0, 1), "gray": (0, 0, 0)}.get(layout.kind)
    for rows in _bands(height, width):
        if order is not None:
            for target, source in zip(rgb, order, strict=True):
                np.multiply(planes[source][rows], np.float32(1 / layout.top), out=target[rows], dtype=np.float32)
            continue
        luma = planes[0][rows].astype(np.float32)
        luma *= np.float32(1 / scale)
        luma -= np.float32(offset / scale)
        for target, chroma in zip(rgb, _chroma_rgb(planes[1], planes[2], rows, width, layout, signal), strict=True):
            np.add(chroma, luma, out=target[rows])
            np.clip(target[rows], 0, 1, out=target[rows])
    return result


def add_change(picture: av.VideoFrame, before: Tensor, after: Tensor, signal: Signal) -> None:
    """Add the difference of two RGB pictures `[3, H, W]` to a writable planar picture, in its own codes.

    Chroma takes the difference averaged over the luma samples it stands for. Values of `after` outside [0, 1] are
    clipped; where it is not finite the picture stays as it is.
    """
    layout = layout_of(picture.format.name)
    assert layout is not None, picture.format.name
    planes = _planes(picture)
    old = before.numpy()
    new = after.detach().to("cpu", torch.float32).numpy()
    height, width = planes[0].shape
    red_weight, blue_weight = signal.weights
    weights = (red_weight, 1 - red_weight - blue_weight, blue_weight)
    scale = float(layout.top) if layout.kind == "gray" else code_range(layout, signal)[1]
    for rows in _bands(height, width):
        band = new[:, rows]
        change = np.clip(band, 0, 1)
        change -= old[:, rows]
        if not np.isfinite(band.sum()):
            change[~np.isfinite(band)] = 0
        if layout.kind == "gbr":
            for plane, source in zip(planes, (1, 2, 0), strict=False):
                change[source] *= np.float32(layout.top)
                _add(plane[rows], change[source], layout.top)
            continue
        if layout.kind == "yuv":
            first, last = rows.start // layout.sub_y, -(-rows.stop // layout.sub_y)
            for plane, part in zip(planes[1:3], _chroma_change(change, layout, signal), strict=True):
                _add(plane[first:last], part, layout.top)
        for plane, weight in zip(change, weights, strict=True):
            plane *= np.float32(weight * scale)
        luma = change[0]
        luma += change[1]
        luma += change[2]
        _add(planes[0][rows], luma, layout.top)


def _bands(height: int, width: int) -> Iterator[slice]:
    """Slices of rows that begin between chroma rows of any subsampling."""
    step = max(4, BAND_SAMPLES // width // 4 * 4)
    for top in range(0, height, step):
        yield slice(top, min(top + step, height))


def _chroma_rgb(
    cb: Array, cr: Array, rows: slice, width: int, layout: PixelLayout, signal: Signal
) -> tuple[Array, Array, Array]:
    """What chroma adds to each of R, G, B in a band of luma rows, interpolated linearly."""
    _, _, middle, scale = code_range(layout, signal)
    red_weight, blue_weight = signal.weights
    green_weight = 1 - red_weight - blue_weight
    above = max(rows.start // layout.sub_y - 1, 0)  # one more row on each side, for the interpolation
    below = min(-(-rows.stop // layout.sub_y) + 1, cb.shape[0])
    blue = cb[above:below].astype(np.float32)
    red = cr[above:below].astype(np.float32)
    for plane, weight in ((blue, blue_weight), (red, red_weight)):
        plane -= np.float32(middle)
        plane *= np.float32(2 * (1 - weight) / scale)
    green = blue * np.float32(-blue_weight / green_weight)
    green -= red * np.float32(red_weight / green_weight)
    begin = rows.start - above * layout.sub_y
    window = slice(begin, begin + rows.stop - rows.start)
    red, green, blue = (_upsampled(plane, layout, signal)[window, :width] for plane in (red, green, blue))
    return red, green, blue


def _upsampled(chroma: Array, layout: PixelLayout, signal: Signal) -> Array:
    """Rows of chroma at the resolution of luma."""
    if layout.sub_x == layout.sub_y == 1:
        return chroma
    if signal.left_sited and layout.sub_x == 2:
        chroma = _shift_quarter(chroma, 1)
    size = (chroma.shape[1] * layout.sub_x, chroma.shape[0] * layout.sub_y)
    return cv2.resize(chroma, size, interpolation=cv2.INTER_LINEAR).reshape(size[::-1])


def _chroma_change(change: Array, layout: PixelLayout, signal: Signal) -> tuple[Array, Array]:
    """The change of Cb and Cr, in codes, for a change of RGB `[3, h, W]`."""
    sub_x, sub_y = layout.sub_x, layout.sub_y
    height, width = -(-change.shape[1] // sub_y), -(-change.shape[2] // sub_x)
    pad = (height * sub_y - change.shape[1], width * sub_x - change.shape[2])
    if any(pad):
        change = np.pad(change, ((0, 0), (0, pad[0]), (0, pad[1])), mode="edge")
    if sub_x * sub_y > 1:
        parts = [cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA) for plane in change]
        red, green, blue = (part.reshape(height, width) for part in parts)
    else:
        red, green, blue = change
    red_weight, blue_weight = signal.weights
    luma = red * np.float32(red_weight)
    luma += green * np.float32(1 - red_weight - blue_weight)
    luma += blue * np.float32(blue_weight)
    scale = code_range(layout, signal)[3]
    cb, cr = blue - luma, red - luma
    cb *= np.float32(scale / (2 * (1 - blue_weight)))
    cr *= np.float32(scale / (2 * (1 - red_weight)))
    if signal.left_sited and sub_x == 2:
        return _shift_quarter(cb, -1), _shift_quarter(cr, -1)
    return cb, cr


def code_range(layout: PixelLayout, signal: Signal) -> tuple[float, float, float, float]:
    """Black level and span of luma, middle and span of chroma, in codes (ITU-T H.273, equations 20-31)."""
    step = 1 << (layout.bits - 8)
    if signal.full_range:
        return 0.0, float(layout.top), 128.0 * step, float(layout.top)
    return 16.0 * step, 219.0 * step, 128.0 * step, 224.0 * step


def _shift_quarter(plane: Array, direction: int) -> Array:
    """A plane read a quarter of its own sample to the right (1) or the left (-1): between left and central siting."""
    if plane.shape[1] < 2:
        return plane
    # By OpenCV, for where memory is short numpy's sum of shifted rows crashes instead of saying so.
    weights, anchor = ((0.75, 0.25), 0) if direction > 0 else ((0.25, 0.75), 1)
    kernel = np.array([weights], np.float32)
    return cv2.filter2D(plane, -1, kernel, anchor=(anchor, 0), borderType=cv2.BORDER_REPLICATE)


def _add(plane: Array, change: Array, top: int) -> None:
    np.rint(change, out=change)
    change += plane
    np.clip(change, 0, top, out=change)
    plane[:] = change
