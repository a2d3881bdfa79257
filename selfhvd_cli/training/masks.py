"""The mask of an aligned label: M_u of Eq. 4, M_o of Eq. 5, or their product, as Eq. 6 takes them."""

from __future__ import annotations

import torch
from torch import Tensor

from selfhvd_cli.flow.estimator import Flow
from selfhvd_cli.flow.occlusion import occlusion_mask, uncertainty_mask
from selfhvd_cli.training.config import Masks


def label_masks(there: Flow, back: Flow, masks: Masks, strength: float) -> tuple[Tensor, Tensor]:
    """The chosen masks' product, and M_o alone, which Eq. 8 judges distortion by.

    Args:
        there: flow from the output to the sharp frame.
        back: flow from the sharp frame to the output.
        strength: α of Eq. 5.

    Returns:
        `[B, 1, H, W]` in [0, 1] each.
    """
    occlusion = occlusion_mask(there, back, strength)
    chosen = torch.ones_like(occlusion)
    if masks in ("uncertainty", "both"):
        chosen = chosen * uncertainty_mask(there, back)
    if masks in ("occlusion", "both"):
        chosen = chosen * occlusion
    return chosen, occlusion
