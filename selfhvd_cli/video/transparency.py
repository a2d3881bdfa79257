"""The transparency of a decoded picture."""

from __future__ import annotations

import av
import torch
from torch import Tensor

from selfhvd_cli.video.pixel_formats import layout_of, planar_format
from selfhvd_cli.video.pixels import Signal, planes_of, to_format

OPAQUE = 255


def transparency(picture: av.VideoFrame) -> Tensor | None:
    """`[H, W]` float32 from 0 (clear) to 1; None where the picture has none."""
    parts = picture.format.components
    palette = picture.format.has_palette
    if not palette and not any(part.is_alpha for part in parts):
        return None
    name = planar_format(picture.format.name)
    layout = layout_of(name)
    if layout is None or not layout.alpha:
        name = "gbrap16le" if parts[0].bits > 8 else "gbrap"
        layout = layout_of(name)
    assert layout is not None, name
    # The range says nothing of transparency, but may not change on the way.
    codes = planes_of(to_format(picture, name, Signal(full_range=True)))[-1]
    if palette and bool((codes == OPAQUE).all()):
        return None
    return codes.to(torch.float32).div_(layout.top)
