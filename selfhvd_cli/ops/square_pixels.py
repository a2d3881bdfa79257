"""Pictures as players show them where pixels are stored wider or narrower than high, as camcorders do."""

from __future__ import annotations

from fractions import Fraction

import torch.nn.functional as F
from torch import Tensor

WIDEST = 4
"""Times that a pixel may be wider than high, or higher than wide. Anamorphic film has 2; more is damage."""


def with_square_pixels(picture: Tensor, aspect: Fraction | None) -> Tensor:
    """The picture enlarged where players stretch it, so that its pixels are as wide as high.

    Args:
        picture: `[3, H, W]` in [0, 1], in stored orientation.
        aspect: width of a pixel by its height (sample aspect ratio); None for 1.

    Returns:
        `[3, H, W·aspect]`, or `[3, H/aspect, W]` where pixels are narrow; as it is where the aspect makes no sense.
    """
    if aspect is None or aspect == 1 or not Fraction(1, WIDEST) <= aspect <= WIDEST:
        return picture
    height, width = picture.shape[-2:]
    size = (height, round(width * aspect)) if aspect > 1 else (round(height / aspect), width)
    return F.interpolate(picture[None], size=size, mode="bicubic", align_corners=False)[0].clamp(0, 1)
