"""Colour: the mean brightness and colour of a result put back to the input's, over all and place by place."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.ops.stencil import smooth
from selfhvd_cli.restore.keep_sharp import BLOCK, enlarged

SAME = 1.0 / 255.0
"""Local change of the mean that is left as it is; more is taken off."""

STEP = 4
"""Every so many pixels one is looked at: enough for a mean over hundreds."""

PATCH = 32
"""Side in pixels of the patches whose means are compared."""


def with_colour_of(source: Tensor, picture: Tensor) -> tuple[Tensor, Tensor]:
    """The picture `[1, 3, H, W]` with the mean colours of `source`, and how far they were off, in 8-pixel blocks."""
    change = picture[..., ::STEP, ::STEP] - source[..., ::STEP, ::STEP]
    overall = change.mean((2, 3), keepdim=True)
    local = smooth(F.avg_pool2d(change, PATCH // STEP, ceil_mode=True)) - overall
    correction = overall + local - local.clamp(-SAME, SAME)
    if float(correction.abs().max()) > 0.25 / 255.0:
        picture = (picture - enlarged(correction, picture, PATCH)).clamp_(0.0, 1.0)
    off = (local + overall).abs().amax(1, keepdim=True)
    blocks = picture[..., ::BLOCK, ::BLOCK]
    return picture, enlarged(off, blocks, PATCH // BLOCK)
