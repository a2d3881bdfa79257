"""Colour: the mean brightness and colour of a result put back to the input's, over all and place by place.

Blur moves light and leaves its sum as it is: a sharp picture has as much light as the blurred one and a lower mean of
code values, by up to 3 of 255 on synthetic clips. Noise moves code values: a clean picture has their mean and less
light. So what leaves one of the two as it was is right, and all that lies between. When the mean of code values was
put back, the blurry half of those clips lost 0.3 dB.
"""

from __future__ import annotations

import torch
from torch import Tensor

from selfhvd_cli.ops.blocks import block_means, enlarged
from selfhvd_cli.ops.stencil import smooth
from selfhvd_cli.restore.keep_sharp import BLOCK

SAME = 1.0 / 255.0
"""Local change of the level that is left as it is; more is taken off."""

STEP = 4
"""Every so many pixels one is looked at: enough for a mean over hundreds."""

PATCH = 32
"""Side in pixels of the patches whose levels are compared."""


def put_back_colour(source: Tensor, picture: Tensor) -> Tensor:
    """Give pictures the colours of their sources, on average, in place.

    Args:
        source, picture: `[N, 3, H, W]`.

    Returns:
        How far the local levels were off, `[N, 1, H/8, W/8]`.
    """
    seen, wanted = picture[..., ::STEP, ::STEP], source[..., ::STEP, ::STEP]
    measured = seen, seen - wanted, seen.square() - wanted.square()
    overall, local = (_offset(*map(mean, measured)) for mean in (_means, _patches))
    local = local - overall
    excess = local - local.clamp(-SAME, SAME)
    picture.sub_(overall)
    excess *= excess.abs().amax((1, 2, 3), keepdim=True) > 0.5 * SAME
    if bool(excess.any()):
        for channel in range(3):
            one = slice(channel, channel + 1)
            picture[:, one].sub_(enlarged(excess[:, one], PATCH, picture.shape[-2:]))
    picture.clamp_(0.0, 1.0)
    off = (local + overall).abs().amax(1, keepdim=True)
    return enlarged(off, PATCH // BLOCK, picture[..., ::BLOCK, ::BLOCK].shape[-2:])


def _means(pictures: Tensor) -> Tensor:
    return pictures.mean((2, 3), keepdim=True)


def _patches(pictures: Tensor) -> Tensor:
    return smooth(block_means(pictures, PATCH // STEP))


def _offset(picture: Tensor, change: Tensor, excess_light: Tensor) -> Tensor:
    """What to take off code values: the least that either their mean or their light asks for.

    Args:
        picture: means of the result.
        change: of its difference to the input.
        excess_light: of the difference of the squares.
    """
    # Squares are about linear light, whatever the curve's exact exponent.
    for_light = picture - (picture.square() - excess_light).clamp_min(0.0).sqrt_()
    return torch.minimum(change, for_light).clamp_min(0.0) + torch.maximum(change, for_light).clamp_max(0.0)
