"""Halos: what a result shows beyond the range of values its input has nearby."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.ops.stencil import binomial
from selfhvd_cli.restore.keep_sharp import enlarged

NOISE = 2.0 / 255.0
"""Overshoot that is nothing yet."""


def beyond(source: Tensor, picture: Tensor, allowed: float) -> tuple[Tensor, Tensor]:
    """What of `picture` lies beyond the values `source` has within about ten pixels.

    Args:
        source, picture: grey `[1, 1, H/2, W/2]`: noise matters less at half the size, and halos show there.
        allowed: how far beyond is fine, as a share of the range of those values.

    Returns:
        The overshoot, signed, `[1, 1, H/2, W/2]`; and the share of the whole change it makes up, `[1, 1, H/8, W/8]`.
    """
    high = F.max_pool2d(F.max_pool2d(source, 2, ceil_mode=True), 5, stride=1, padding=2)
    low = -F.max_pool2d(F.max_pool2d(-source, 2, ceil_mode=True), 5, stride=1, padding=2)
    margin = allowed * (high - low) + NOISE
    high, low = enlarged(binomial(high + margin), source, 2), enlarged(binomial(low - margin), source, 2)
    over = picture - torch.minimum(torch.maximum(picture, low), high)
    cut = F.avg_pool2d(over.abs(), 4, ceil_mode=True)
    change = F.avg_pool2d((picture - source).abs_(), 4, ceil_mode=True)
    return over, binomial(cut) / (binomial(change) + NOISE)
