"""A changed frame as picture files hold it: RGB or grey, 8 or 16 bits, with its transparency."""

from __future__ import annotations

import av
import numpy as np
import torch
from torch import Tensor

from selfhvd_cli.video.change import changed_rgb, is_gray
from selfhvd_cli.video.frame import SourceFrame
from selfhvd_cli.video.pixels import planes_of
from selfhvd_cli.video.transparency import transparency


def plain_picture(frame: SourceFrame, restored: Tensor | None) -> av.VideoFrame:
    """The frame with what a restoration `[3, H, W]` changed: grey where it was, 16 bits where it had more than 8."""
    source = frame.picture
    deep = max(part.bits for part in source.format.components) > 8
    alpha = transparency(source)
    rgb = changed_rgb(frame, restored)
    channels = [rgb[1]] if is_gray(source) else [rgb[1], rgb[2], rgb[0]]
    codes = [_codes(channel, deep) for channel in (*channels, *([] if alpha is None else [alpha]))]
    end = "16le" if deep else ""
    if len(codes) == 2:
        return _side_by_side(codes, "ya16le" if deep else "ya8")
    picture = av.VideoFrame(source.width, source.height, {1: "gray", 3: "gbrp", 4: "gbrap"}[len(codes)] + end)
    for plane, mine in zip(planes_of(picture), codes, strict=True):
        plane.copy_(mine)
    return picture


def _codes(channel: Tensor, deep: bool) -> Tensor:
    """`[H, W]`, whole numbers as float32."""
    return channel.clamp(0, 1).mul_(65535 if deep else 255).round_()


def _side_by_side(codes: list[Tensor], name: str) -> av.VideoFrame:
    """Grey and its transparency, for which there is no format of two planes."""
    height, width = codes[0].shape
    picture = av.VideoFrame(width, height, name)
    plane = picture.planes[0]
    dtype = np.uint8 if name == "ya8" else np.uint16
    whole = np.frombuffer(memoryview(plane), dtype).reshape(height, plane.line_size // dtype().itemsize)
    whole[:, : 2 * width] = torch.stack(codes, -1).view(height, -1).numpy()
    return picture
