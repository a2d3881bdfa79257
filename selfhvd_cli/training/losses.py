"""Losses of the adaptation: masked L1 (Eq. 6) and the distance of VGG-19 features (Eqs. 11 and 12)."""

from __future__ import annotations

import torch
from torch import Tensor

from selfhvd_cli.training.perceptual import Perceptual

LEAST_MASS = 0.05
"""Share of unmasked pixels below which a picture counts less: divided by next to nothing, noise would shout."""


def reconstruction_loss(output: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """L_rec of Eq. 6: mean absolute difference over the unmasked pixels, for each picture by itself.

    Args:
        output, target: `[N, 3, H, W]`.
        mask: `[N, 1, H, W]` in [0, 1]; all 0 leaves a picture out.

    Returns:
        `[N]`, so that a batch split over processes averages to the same.
    """
    mass = mask.mean(dim=(1, 2, 3))
    difference = (mask * (output.float() - target).abs()).mean(dim=(1, 2, 3))
    return difference / mass.clamp(min=LEAST_MASS)


def perceptual_loss(network: Perceptual, output: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """L_per of Eqs. 11 and 12: L1 between the features of the masked output and of the masked target.

    Returns:
        `[N]`, as `reconstruction_loss`.
    """
    with torch.no_grad():
        wanted = network(mask * target)
    found = network((mask * output.float()).clamp(0.0, 1.0))
    return (found - wanted).abs().mean(dim=(1, 2, 3))
