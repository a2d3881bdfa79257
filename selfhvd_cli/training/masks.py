"""The mask of an aligned label: M_u of Eq. 4, M_o of Eq. 5, or their product, as Eq. 6 takes them; and of a crop."""

from __future__ import annotations

import torch
from torch import Tensor

from selfhvd_cli.flow.estimator import Flow
from selfhvd_cli.flow.occlusion import occlusion_mask, uncertainty_mask
from selfhvd_cli.training.config import Masks

BORDER = 12
"""One of so many parts of a crop's side is left out at each of its borders."""


def inside_crop(mask: Tensor) -> Tensor:
    """`[N, 1, h, w]`: a mask without the crop's border.

    Not in the paper. What would help there lies outside of the crop, so a network restores it otherwise than in the
    whole frame, by 2 codes and more for `lite` in crops of 128 to 192 px (0.3 inside those of 192), and would learn
    to make up for what no whole frame lacks.
    """
    rows, columns = (max(1, side // BORDER) for side in mask.shape[-2:])
    inner = torch.zeros_like(mask)
    inner[..., rows:-rows, columns:-columns] = mask[..., rows:-rows, columns:-columns]
    return inner


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
