"""The picture that goes to the encoder: the decoded one in the encoder's pixel format, changed by the restoration."""

from __future__ import annotations

import av
from torch import Tensor

from selfhvd_cli.video.frame import SourceFrame
from selfhvd_cli.video.pixel_formats import layout_of, planar_format
from selfhvd_cli.video.pixels import Signal, add_change, to_format

FROM_RGB = Signal(matrix=1, full_range=False)
"""What RGB pictures become where the encoder wants YUV: BT.709, video range."""


def restored_picture(frame: SourceFrame, restored: Tensor | None, pixel_format: str) -> av.VideoFrame:
    """`frame` in `pixel_format`, with the difference of `restored` `[3, H, W]` to its RGB view added to its planes.

    None for `restored` gives the decoded picture without any arithmetic. A difference is added after the conversion,
    so that a deeper output format keeps the restoration's finer steps. The frame's picture is spent.
    """
    picture = frame.picture
    if restored is None:
        return _converted(picture, pixel_format, frame.signal)
    if restored.shape != (3, picture.height, picture.width):
        raise ValueError(f"restored must be [3, {picture.height}, {picture.width}], got {tuple(restored.shape)}")
    before = frame.rgb()
    work = pixel_format if layout_of(pixel_format) is not None else planar_format(pixel_format)
    planar = _converted(picture, work, frame.signal)
    planar.make_writable()
    recoded = picture.format.is_rgb and not planar.format.is_rgb
    add_change(planar, before, restored, FROM_RGB if recoded else frame.signal)
    return _converted(planar, pixel_format, FROM_RGB if recoded else frame.signal)


def _converted(picture: av.VideoFrame, name: str, signal: Signal) -> av.VideoFrame:
    if picture.format.is_rgb and not name.startswith(("gbr", "rgb", "bgr")):
        return picture.reformat(format=name, dst_colorspace=FROM_RGB.matrix, dst_color_range=1)
    return to_format(picture, name, signal)
