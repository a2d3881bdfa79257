"""What a restoration changes of a frame, in RGB; of a grey frame it is the lightness only."""

from __future__ import annotations

import av
import torch
from torch import Tensor

from selfhvd_cli.video.frame import SourceFrame
from selfhvd_cli.video.pixels import LUMA_WEIGHTS

RED, BLUE = LUMA_WEIGHTS[1]
"""A network sees grey as RGB of equal channels and gives it a tint; its lightness is that of BT.709."""


def is_gray(picture: av.VideoFrame) -> bool:
    """Whether a picture has no colour; it may have transparency."""
    return len(picture.format.components) <= 2 and not picture.format.has_palette


def change(frame: SourceFrame, restored: Tensor) -> Tensor:
    """`[3, H, W]` float32, to be added to an RGB view of the frame; 0 where it is no number."""
    found = torch.nan_to_num(restored.detach().to("cpu", torch.float32) - frame.rgb(), 0.0, 0.0, 0.0)
    if not is_gray(frame.picture):
        return found
    luma = found[0].mul_(RED).add_(found[1], alpha=1 - RED - BLUE).add_(found[2], alpha=BLUE)
    return luma.repeat(3, 1, 1)


def changed_rgb(frame: SourceFrame, restored: Tensor | None) -> Tensor:
    """The changed frame, `[3, H, W]` float32, which may leave [0, 1]; not to be written to."""
    if restored is None:
        return frame.rgb()
    # 8 bits are coarser than any view of the frame.
    deep = max(part.bits for part in frame.picture.format.components) > 8
    return change(frame, restored).add_(frame.exact_rgb() if deep else frame.rgb())
