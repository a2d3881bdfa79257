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
        source, picture: grey `[1, 1, H, W]`.
        allowed: how far beyond is fine, as a share of the range of those values.

    Returns:
        The overshoot, signed, `[1, 1, H, W]`; and the share of the whole change it makes up, in 8-pixel blocks.
    """
    one, two = F.avg_pool2d(source, 2, ceil_mode=True), F.avg_pool2d(picture, 2, ceil_mode=True)
    high = F.max_pool2d(F.max_pool2d(one, 2, ceil_mode=True), 5, stride=1, padding=2)
    low = -F.max_pool2d(F.max_pool2d(-one, 2, ceil_mode=True), 5, stride=1, padding=2)
    margin = allowed * (high - low) + NOISE
    high, low = enlarged(binomial(high + margin), one, 2), enlarged(binomial(low - margin), one, 2)
    over = two - torch.minimum(torch.maximum(two, low), high)
    cut = F.avg_pool2d(over.abs(), 4, ceil_mode=True)
    change = F.avg_pool2d(two.sub_(one).abs_(), 4, ceil_mode=True)
    return enlarged(over, source, 2), binomial(cut) / (binomial(change) + NOISE)
