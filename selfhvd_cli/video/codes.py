"""Codes: the planes of a picture for a device to work on: RGB is computed there, and a change put back there.

8 bits in 4:2:0 are 1.5 bytes a pixel, their RGB is 12: so little goes to a GPU and comes back, and on the way to and
from it the processor copies planes instead of converting them. The formulas are those of `pixels`, in torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import av
import torch
import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.ops.blocks import resized
from selfhvd_cli.ops.constants import numbers
from selfhvd_cli.ops.transfer import to_device
from selfhvd_cli.video.pixel_formats import PixelLayout, layout_of, planar_format
from selfhvd_cli.video.pixels import Signal, code_range, planes_of, to_format

DEEPEST = 14
"""Bits that are handled: devices have no unsigned integers of 16."""


@dataclass(frozen=True)
class Codes:
    """The colour planes of one picture, on the CPU or on a device."""

    layout: PixelLayout
    size: tuple[int, int]
    """Height and width of the picture."""

    signal: Signal
    flat: Tensor
    """All codes of the planes (Y, Cb, Cr; G, B, R; or grey) one after the other, `[N]`, uint8 or int16."""

    def planes(self) -> list[Tensor]:
        """Views `[h, w]`."""
        shapes = list(_shapes(self.layout, self.size))
        parts = self.flat.split([height * width for height, width in shapes])
        return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]

    def to(self, device: torch.device) -> Codes:
        """The same on a device."""
        return self.with_flat(to_device(self.flat, device))

    def with_flat(self, flat: Tensor) -> Codes:
        """Other codes of a picture of this layout and size."""
        return Codes(self.layout, self.size, self.signal, flat)

    def thin(self, step: int) -> Codes:
        """About every `step`-th pixel of every `step`-th row, each with the chroma it lies in; all where chroma is
        coarser than that."""
        layout = self.layout
        down, across = step // layout.sub_y, step // layout.sub_x
        if not (down and across):
            return self
        luma, *chroma = self.planes()
        planes = [
            luma[:: down * layout.sub_y, :: across * layout.sub_x],
            *(plane[::down, ::across] for plane in chroma),
        ]
        height, width = planes[0].shape
        thin = PixelLayout(layout.kind, layout.bits, 1, 1, layout.alpha)
        return Codes(thin, (height, width), self.signal, torch.cat([plane.flatten() for plane in planes]))

    def rgb(self) -> Tensor:
        """`[3, H, W]` float32 RGB, clipped to [0, 1], in the stream's transfer curve: `pixels.to_rgb`."""
        layout, device = self.layout, self.flat.device
        planes = self.with_flat(self.flat.float()).planes()
        if layout.kind != "yuv":
            order = (2, 0, 1) if layout.kind == "gbr" else (0, 0, 0)
            return torch.stack([planes[place] for place in order]).mul_(1 / layout.top)
        black, span, middle, chroma_span = code_range(layout, self.signal)
        red_weight, blue_weight = self.signal.weights
        green_weight = 1 - red_weight - blue_weight
        red, blue = (2 * (1 - weight) / chroma_span for weight in (red_weight, blue_weight))
        of_cr = (red, -red * red_weight / green_weight, 0.0)
        of_cb = (0.0, -blue * blue_weight / green_weight, blue)
        # What is taken off the codes before they are multiplied is taken off the sum.
        zero = tuple(-middle * (one + other) - black / span for one, other in zip(of_cr, of_cb, strict=True))
        luma, cb, cr = planes
        chroma = torch.addcmul(_for_each(zero, device), cr, _for_each(of_cr, device))
        chroma = self._enlarged(chroma.addcmul_(cb, _for_each(of_cb, device)))
        return chroma.add(luma, alpha=1 / span).clamp_(0.0, 1.0)

    def changed(self, before: Tensor, after: Tensor) -> Codes:
        """With the difference of two RGB pictures `[3, H, W]` added: `pixels.add_change`.

        Values of `after` outside [0, 1] are clipped; where it is not finite the difference counts as 0.
        """
        nan = float("nan")  # clipping leaves it as it is, and would make the infinite white
        change = after.nan_to_num(nan, nan, nan).clamp_(0.0, 1.0).sub_(before).nan_to_num_(0.0)
        layout = self.layout
        if layout.kind == "gbr":
            parts = [change.roll(-1, 0).mul_(layout.top)]
        else:
            span = layout.top if layout.kind == "gray" else code_range(layout, self.signal)[1]
            parts = [self._luma(change).mul_(span), *([self._chroma_change(change)] if layout.kind == "yuv" else [])]
        sums = torch.cat([part.flatten() for part in parts]).round_().add_(self.flat)
        return self.with_flat(sums.clamp_(0, layout.top).to(self.flat.dtype))

    def write_into(self, picture: av.VideoFrame) -> None:
        """Put the codes, which are in main memory, into the planes of a writable picture of the same layout."""
        for plane, mine in zip(planes_of(picture), self.planes(), strict=False):
            plane.copy_(mine if mine.dtype == plane.dtype else mine.view(plane.dtype))

    def _enlarged(self, chroma: Tensor) -> Tensor:
        """Chroma `[3, h, w]` at the resolution of luma."""
        sub_x, sub_y = self.layout.sub_x, self.layout.sub_y
        if sub_x == sub_y == 1:
            return chroma
        if self.signal.left_sited and sub_x == 2:
            chroma = _shift_quarter(chroma, 1)
        size = (chroma.shape[1] * sub_y, chroma.shape[2] * sub_x)
        return resized(chroma.unsqueeze(0), size)[0, :, : self.size[0], : self.size[1]]

    def _luma(self, rgb: Tensor) -> Tensor:
        """`[h, w]`, in the unit of RGB."""
        red_weight, blue_weight = self.signal.weights
        weights = (red_weight, 1 - red_weight - blue_weight, blue_weight)
        return (rgb * _for_each(weights, rgb.device)).sum(0)

    def _chroma_change(self, change: Tensor) -> Tensor:
        """The change of Cb and Cr, `[2, h, w]`, in codes, for a change of RGB `[3, H, W]`."""
        sub_x, sub_y = self.layout.sub_x, self.layout.sub_y
        down, right = -change.shape[1] % sub_y, -change.shape[2] % sub_x
        if down or right:
            change = F.pad(change.unsqueeze(0), (0, right, 0, down), mode="replicate")[0]
        if sub_x * sub_y > 1:
            change = F.avg_pool2d(change.unsqueeze(0), (sub_y, sub_x))[0]
        span = code_range(self.layout, self.signal)[3]
        red_weight, blue_weight = self.signal.weights
        units = tuple(span / (2 * (1 - weight)) for weight in (blue_weight, red_weight))
        parts = change.flip(0)[::2].sub(self._luma(change)).mul_(_for_each(units, change.device))
        return _shift_quarter(parts, -1) if self.signal.left_sited and sub_x == 2 else parts


def _for_each(values: tuple[float, ...], device: torch.device) -> Tensor:
    """A number for each of several planes, `[N, 1, 1]`."""
    return numbers(values, device).view(-1, 1, 1)


def codes_of(picture: av.VideoFrame, signal: Signal) -> Codes | None:
    """The codes of a picture in main memory, a copy; None where they are too deep."""
    name = planar_format(picture.format.name)
    layout = layout_of(name)
    assert layout is not None, name
    if layout.bits > DEEPEST:
        return None
    size = picture.height, picture.width
    shapes = _shapes(layout, size)
    flat = torch.empty(
        sum(height * width for height, width in shapes), dtype=torch.uint8 if layout.bits == 8 else torch.int16
    )
    codes = Codes(layout, size, signal, flat)
    for mine, plane in zip(codes.planes(), planes_of(to_format(picture, name, signal)), strict=False):
        mine.copy_(plane if plane.dtype == mine.dtype else plane.view(mine.dtype))
    return codes


def _shapes(layout: PixelLayout, size: tuple[int, int]) -> list[tuple[int, int]]:
    """Height and width of each plane of colour; transparency is left alone."""
    if layout.kind != "yuv":
        return [size] * (1 if layout.kind == "gray" else 3)
    chroma = -(-size[0] // layout.sub_y), -(-size[1] // layout.sub_x)
    return [size, chroma, chroma]


def _shift_quarter(planes: Tensor, direction: int) -> Tensor:
    """Planes `[N, h, w]` read a quarter of their own sample to the right (1) or the left (-1)."""
    around = F.pad(planes, (0, 1) if direction > 0 else (1, 0), mode="replicate")
    return torch.lerp(planes, around[..., 1:] if direction > 0 else around[..., :-1], 0.25)
