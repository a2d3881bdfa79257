"""Chroma: how far a result's colours go beyond what its light and the input's colours nearby account for.

Where blur is taken out colours change as light does, towards colours that are there already. Everything else in the
guard is measured in grey, to which noise in colours, coloured fringes and colours that ran are invisible.
"""

from __future__ import annotations

import torch
from torch import Tensor

from selfhvd_cli.ops.blocks import block_means, enlarged
from selfhvd_cli.ops.sharpness import LUMA
from selfhvd_cli.ops.stencil import binomial
from selfhvd_cli.restore.halos import highest

WITH_LIGHT = 1.4
"""Mean change of a colour difference that the mean change of light accounts for, as a multiple of it. With 1.0 true
restorations of saturated boxes on one another kept 0.8 of their change in place of 0.9."""

OF_RANGE = 0.6
"""The same that the colours nearby account for, as a share of their range."""

NOISE = 1.0 / 255.0
"""Mean change of colours that noise and rounding account for."""

MOST = 4.0
"""How many times farther apart than their light colours are thought to be; such have edges of hardly any light."""


def beyond_colours(
    source: Tensor, picture: Tensor, source_half: Tensor, picture_half: Tensor
) -> tuple[Tensor, Tensor]:
    """What of a change of colours nothing accounts for.

    Args:
        source, picture: `[N, 3, H, W]`, RGB.
        source_half, picture_half: the same in grey at half the size.

    Returns:
        What is to be taken off red, green and blue, `[N, 3, H/2, W/2]`, which leaves the light as it is; and the
        share of the whole change it makes up, `[N, 1, H/8, W/8]`.
    """
    before, after = _differences(source, source_half), _differences(picture, picture_half)
    change = after - before
    light = _mean_size(picture_half - source_half)
    sizes = _mean_size(change)
    seen = torch.cat((before, source_half), dim=1)
    colours, greys = block_means(highest(seen) + highest(-seen), 2).split((2, 1), dim=1)
    # Between colours of one brightness little light changes.
    apart = (colours / (greys + NOISE)).clamp_(1.0, MOST)
    allowed = torch.minimum(OF_RANGE * colours, WITH_LIGHT * light * apart) + NOISE
    excess = (sizes - allowed).clamp_min_(0.0)
    share = excess.amax(1, keepdim=True) / (sizes.amax(1, keepdim=True) + light + NOISE)
    red, blue = change.mul_(enlarged(excess / (sizes + 1e-6), 4, change.shape[-2:])).split(1, dim=1)
    green = (red * LUMA[0] + blue * LUMA[2]).mul_(-1.0 / LUMA[1])
    return torch.cat((red, green, blue), dim=1), share


def _mean_size(change: Tensor) -> Tensor:
    return binomial(block_means(change.abs(), 4))


def _differences(pictures: Tensor, half: Tensor) -> Tensor:
    """Red and blue less grey, `[N, 2, H/2, W/2]`."""
    return block_means(pictures[:, ::2], 2).sub_(half)
