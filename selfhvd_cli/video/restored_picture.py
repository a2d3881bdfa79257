"""The picture that goes to the encoder: the decoded one in the encoder's pixel format, changed by the restoration."""

from __future__ import annotations

import av
from torch import Tensor

from selfhvd_cli.video.codes import Codes
from selfhvd_cli.video.frame import SourceFrame
from selfhvd_cli.video.pixel_formats import layout_of, planar_format
from selfhvd_cli.video.pixels import Signal, add_change, to_format

FROM_RGB = Signal(matrix=1, full_range=False)
"""What RGB pictures become where the encoder wants YUV: BT.709, video range."""


def restored_picture(frame: SourceFrame, restored: Tensor | Codes | None, pixel_format: str) -> av.VideoFrame:
    """`frame` in `pixel_format`, with the difference of `restored` `[3, H, W]` to its RGB view added to its planes.

    `Codes` are what a device made of the planes, in that format's own layout. None gives the decoded picture without
    any arithmetic. A difference is added after the conversion, so that a deeper output format keeps the restoration's
    finer steps. The frame's picture is spent.
    """
    picture = frame.picture
    if restored is None:
        return _converted(picture, pixel_format, frame.signal)
    size = restored.size if isinstance(restored, Codes) else tuple(restored.shape[1:])
    if size != (picture.height, picture.width):
        raise ValueError(f"restored must be [3, {picture.height}, {picture.width}], got {size[0]} by {size[1]}")
    work = work_format(pixel_format)
    planar = _converted(picture, work, frame.signal)
    recoded = picture.format.is_rgb and not planar.format.is_rgb
    signal = FROM_RGB if recoded else frame.signal
    if isinstance(restored, Codes):
        if recoded or restored.layout != layout_of(work):
            raise ValueError(f"codes in the layout of {work} are needed, got {restored.layout}")
        planar.make_writable()
        restored.write_into(planar)
    else:
        before = frame.rgb()
        planar.make_writable()
        add_change(planar, before, restored, signal)
    return _converted(planar, pixel_format, signal)


def work_format(pixel_format: str) -> str:
    """The planar format in which pictures for an encoder of `pixel_format` are changed."""
    return pixel_format if layout_of(pixel_format) is not None else planar_format(pixel_format)


def _converted(picture: av.VideoFrame, name: str, signal: Signal) -> av.VideoFrame:
    if picture.format.is_rgb and not name.startswith(("gbr", "rgb", "bgr")):
        return picture.reformat(format=name, dst_colorspace=FROM_RGB.matrix, dst_color_range=1)
    return to_format(picture, name, signal)
