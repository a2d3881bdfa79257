"""One frame of a source, as decoded, with its time and its RGB view."""

from __future__ import annotations

from fractions import Fraction

import av
from torch import Tensor

from selfhvd_cli.video.codes import Codes, codes_of
from selfhvd_cli.video.pixel_formats import PixelLayout, layout_of, planar_format
from selfhvd_cli.video.pixels import Signal, to_format, to_rgb


class SourceFrame:
    """A decoded frame. `rgb()` is computed on first use and kept until `forget()` or until the frame is written."""

    def __init__(
        self, index: int, time: Fraction, duration: Fraction, picture: av.VideoFrame, signal: Signal
    ) -> None:
        self.index = index
        """Number of the frame among those read, from 0."""

        self.time = time
        """Presentation time, seconds, on the source's own clock."""

        self.duration = duration
        """How long the frame is shown, seconds; 0 where the source does not say."""

        self.picture = picture
        """The frame in the decoder's pixel format; spent once it has been written with a restoration."""

        self.signal = signal
        self.name: str | None = None
        """File name of a frame that comes from a folder."""

        self._rgb: Tensor | None = None

    def rgb(self) -> Tensor:
        """`[3, H, W]` float32 RGB in [0, 1], transfer curve and orientation as stored. Not to be written to."""
        if self._rgb is None:
            self._rgb = self.exact_rgb()
        return self._rgb

    def exact_rgb(self) -> Tensor:
        """The same computed anew, whatever was remembered."""
        planar = to_format(self.picture, planar_format(self.picture.format.name), self.signal)
        return to_rgb(planar, self.signal)

    @property
    def layout(self) -> PixelLayout | None:
        """How the planes of `codes()` are laid out."""
        return layout_of(planar_format(self.picture.format.name))

    def codes(self) -> Codes | None:
        """The codes of the planes, a copy; None where they are too deep for a device."""
        return codes_of(self.picture, self.signal)

    def remember(self, rgb: Tensor) -> None:
        """Give the RGB view back to the frame, which then need not compute it again; a buffer may have made it
        coarser, and a change is the difference to just this view."""
        self._rgb = rgb

    def forget(self) -> None:
        """Free the memory of the RGB view; `rgb()` would compute it again."""
        self._rgb = None
