"""What the sources of Lite say about a target, and how it is mixed of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

LARGEST = 30.0
"""Largest logit of a source: its exponential is finite, and leaves nothing of the others."""


class Advice(NamedTuple):
    """What one source says about the target."""

    picture: Tensor
    """Phases `[B, h, 3, w, 16]` of the aligned source."""

    embedded: Tensor
    """`[B, E, h, w]`: how well it fits."""

    logits: Tensor
    """Phases `[B, h, 1, w, 16]`: its weight in the mean of the pictures; the target's is 0."""

    trust: Tensor
    """`[B, 1, h, w]`: the same in the mean of what is known of the sources."""


def mixed(here: Tensor, advice: Sequence[Advice]) -> Tensor:
    """Weighted mean of target and sources, phases `[B, h, 3, w, 16]`."""
    # Their softmax, the target's logit being 0, without writing down all weights side by side.
    weights = [each.logits.clamp(max=LARGEST).exp_() for each in advice]
    mean, total = torch.addcmul(here, weights[0], advice[0].picture), weights[0] + 1.0
    for weight, each in zip(weights[1:], advice[1:], strict=True):
        mean.addcmul_(weight, each.picture)
        total.add_(weight)
    return mean.mul_(total.reciprocal_())


def summary(advice: Sequence[Advice]) -> tuple[Tensor, Tensor]:
    """What is known of the sources, `[B, E, h, w]` each: the mean by trust, and the most of any."""
    trust = torch.softmax(torch.stack([each.trust for each in advice]), dim=0)
    mean, most = torch.zeros_like(advice[0].embedded), advice[0].embedded
    for weight, each in zip(trust, advice, strict=True):
        # Written out for every channel: products with a repeated value are not vectorised in this layout.
        weights = weight.to(mean.dtype).expand_as(mean).contiguous(memory_format=torch.channels_last)
        mean = torch.addcmul(mean, each.embedded, weights)
        most = torch.maximum(most, each.embedded)
    return mean, most
