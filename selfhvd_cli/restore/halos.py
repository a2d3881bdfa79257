"""Halos: what a result shows beyond the range of values its input has nearby."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.ops.blocks import block_means, enlarged
from selfhvd_cli.ops.stencil import binomial

NOISE = 2.0 / 255.0
"""Overshoot that is nothing yet."""


def beyond(source: Tensor, picture: Tensor, allowed: Tensor) -> tuple[Tensor, Tensor]:
    """What of `picture` lies beyond the values `source` has within about ten pixels.

    Args:
        source, picture: grey `[N, 1, H/2, W/2]`: noise matters less at half the size, and halos show there.
        allowed: how far beyond is fine, as a share of the range of those values, `[N, 1, 1, 1]`.

    Returns:
        The overshoot, signed, `[N, 1, H/2, W/2]`; and the share of the whole change it makes up, `[N, 1, H/8, W/8]`.
    """
    high, low = highest(source), -highest(-source)
    margin = allowed * (high - low) + NOISE
    high, low = (enlarged(binomial(limit), 2, source.shape[-2:]) for limit in (high + margin, low - margin))
    over = picture - torch.minimum(torch.maximum(picture, low), high)
    cut = block_means(over.abs(), 4)
    change = block_means((picture - source).abs_(), 4)
    return over, binomial(cut) / (binomial(change) + NOISE)


def highest(picture: Tensor) -> Tensor:
    """Largest value within about ten pixels, at every second one: `[N, C, h/2, w/2]` of `[N, C, h, w]`."""
    height, width = picture.shape[-2:]
    padded = F.pad(picture, (4, 4 + width % 2, 4, 4 + height % 2), mode="replicate")
    if picture.device.type != "cpu":
        return F.max_pool2d(padded, 10, stride=2)
    # Pairs, then five of them, one direction after the other: on a CPU quicker by far.
    for axis in (-2, -1):
        pairs = torch.maximum(*(padded.unflatten(axis, (-1, 2)).select(axis, which) for which in (0, 1)))
        count = pairs.shape[axis] - 4
        padded = pairs.narrow(axis, 0, count)
        for start in range(1, 5):
            padded = torch.maximum(padded, pairs.narrow(axis, start, count))
    return padded
