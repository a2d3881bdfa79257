"""The picture that goes to the encoder: the decoded one in the encoder's pixel format, changed by the restoration."""

from __future__ import annotations

import av
import torch
from torch import Tensor

from selfhvd_cli.video.change import change, changed_rgb, is_gray
from selfhvd_cli.video.codes import Codes
from selfhvd_cli.video.frame import SourceFrame
from selfhvd_cli.video.pixel_formats import becomes_yuv, layout_of, planar_format
from selfhvd_cli.video.pixels import Signal, add_change, code_range, planes_of, to_format
from selfhvd_cli.video.transparency import transparency

FROM_RGB = Signal(matrix=1, full_range=False)
"""What RGB pictures become where the encoder wants YUV: BT.709, video range."""


def restored_picture(frame: SourceFrame, restored: Tensor | Codes | None, pixel_format: str) -> av.VideoFrame:
    """`frame` in `pixel_format`, with the difference of `restored` `[3, H, W]` to its RGB view added to its planes.

    `Codes` are what a device made of the planes, in that format's own layout. None gives the decoded picture without
    any arithmetic, unless RGB has to become YUV. A difference is added after the conversion, so that a deeper output
    format keeps the restoration's finer steps. Grey stays grey. The frame's picture is spent.
    """
    picture = frame.picture
    recoded = becomes_yuv(picture.format.name, frame.signal.matrix, pixel_format)
    work = work_format(pixel_format)
    if restored is not None:
        size = restored.size if isinstance(restored, Codes) else tuple(restored.shape[1:])
        if size != (picture.height, picture.width):
            raise ValueError(f"restored must be [3, {picture.height}, {picture.width}], got {size[0]} by {size[1]}")
    if isinstance(restored, Codes):
        if recoded or restored.layout != layout_of(work):
            raise ValueError(f"codes in the layout of {work} are needed, got {restored.layout}")
        planar = to_format(picture, work, frame.signal)
        planar.make_writable()
        restored.write_into(planar)
        return to_format(planar, pixel_format, frame.signal)
    if recoded:
        return to_format(_as_yuv(frame, restored, work), pixel_format, FROM_RGB)
    if restored is None:
        return to_format(picture, pixel_format, frame.signal)
    planar = to_format(picture, work, frame.signal)
    before = frame.rgb()
    planar.make_writable()
    after = before + change(frame, restored) if is_gray(picture) else restored
    add_change(planar, before, after, frame.signal)
    return to_format(planar, pixel_format, frame.signal)


def work_format(pixel_format: str) -> str:
    """The planar format in which pictures for an encoder of `pixel_format` are changed."""
    return pixel_format if layout_of(pixel_format) is not None else planar_format(pixel_format)


def _as_yuv(frame: SourceFrame, restored: Tensor | None, name: str) -> av.VideoFrame:
    """The changed frame in a planar YUV format, by `FROM_RGB`.

    FFmpeg's own conversion makes 16 bits 0.4 % too bright, and is a code off for grey.
    """
    layout = layout_of(name)
    assert layout is not None, name
    rgb = changed_rgb(frame, restored)
    picture = av.VideoFrame(rgb.shape[2], rgb.shape[1], name)
    picture.colorspace, picture.color_range = FROM_RGB.matrix, 1
    black, _, middle, _ = code_range(layout, FROM_RGB)
    planes = planes_of(picture)
    for plane, code in zip(planes, (black, middle, middle), strict=False):
        plane.fill_(int(code))
    add_change(picture, torch.zeros(1).expand(rgb.shape), rgb, FROM_RGB)
    if layout.alpha:
        alpha = transparency(frame.picture)
        planes[3].copy_(torch.tensor(layout.top) if alpha is None else alpha.mul_(layout.top).round_())
    return picture
