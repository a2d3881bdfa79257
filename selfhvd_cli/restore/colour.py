"""Colour: the mean brightness and colour of a result put back to the input's, over all and place by place."""

from __future__ import annotations

from torch import Tensor

from selfhvd_cli.ops.blocks import block_means, enlarged
from selfhvd_cli.ops.stencil import smooth
from selfhvd_cli.restore.keep_sharp import BLOCK

SAME = 1.0 / 255.0
"""Local change of the mean that is left as it is; more is taken off."""

STEP = 4
"""Every so many pixels one is looked at: enough for a mean over hundreds."""

PATCH = 32
"""Side in pixels of the patches whose means are compared."""


def put_back_colour(source: Tensor, picture: Tensor) -> Tensor:
    """Give pictures the mean colours of their sources, in place.

    Args:
        source, picture: `[N, 3, H, W]`.

    Returns:
        How far the local means were off, `[N, 1, H/8, W/8]`.
    """
    change = picture[..., ::STEP, ::STEP] - source[..., ::STEP, ::STEP]
    overall = change.mean((2, 3), keepdim=True)
    local = smooth(block_means(change, PATCH // STEP)) - overall
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
