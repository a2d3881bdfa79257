"""Pictures of flows and of masks, for reports and figures."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

TRANSITIONS = (
    (15, (1.0, 0.0, 0.0), (1.0, 1.0, 0.0)),
    (6, (1.0, 1.0, 0.0), (0.0, 1.0, 0.0)),
    (4, (0.0, 1.0, 0.0), (0.0, 1.0, 1.0)),
    (11, (0.0, 1.0, 1.0), (0.0, 0.0, 1.0)),
    (13, (0.0, 0.0, 1.0), (1.0, 0.0, 1.0)),
    (6, (1.0, 0.0, 1.0), (1.0, 0.0, 0.0)),
)
"""Steps between the six pure colours, as unequal as the eye's sense of hue (Baker et al., Middlebury, IJCV 2011)."""


def color_wheel() -> Tensor:
    """The 55 hues of the Middlebury wheel, `[55, 3]`, RGB in [0, 1]."""
    rows = [
        [a + (b - a) * i / steps for a, b in zip(start, end, strict=True)]
        for steps, start, end in TRANSITIONS
        for i in range(steps)
    ]
    return torch.tensor(rows)


def flow_picture(vectors: Tensor, largest: float | None = None) -> Tensor:
    """Direction as hue, length as saturation: no motion is white, as in the Middlebury pictures.

    Args:
        vectors: `[2, H, W]`, (dx, dy) in pixels.
        largest: length of full saturation; longer vectors are darkened. None takes the flow's own longest.

    Returns:
        `[3, H, W]`, RGB in [0, 1].
    """
    vectors = vectors.float()
    length = vectors.norm(dim=0)
    if largest is None:
        largest = length.max().item()
    radius = length / max(largest, 1e-6)
    wheel = color_wheel().to(vectors.device)
    # Red is to the right and the hues turn clockwise on screen. Middlebury's own code spreads 55 hues over 54 steps
    # and so has a seam at the right; here the circle closes.
    turn = torch.atan2(-vectors[1], -vectors[0]) / (2.0 * math.pi) + 0.5
    place = turn * len(wheel)
    first = place.floor()
    share = (place - first).unsqueeze(-1)
    first = first.long() % len(wheel)
    hue = wheel[first] * (1.0 - share) + wheel[(first + 1) % len(wheel)] * share
    radius = radius.unsqueeze(-1)
    color = torch.where(radius <= 1.0, 1.0 - radius * (1.0 - hue), 0.75 * hue)
    return color.permute(2, 0, 1)


def mask_overlay(
    frame: Tensor, mask: Tensor, color: Sequence[float] = (1.0, 0.0, 0.0), opacity: float = 0.6
) -> Tensor:
    """The frame with everything the mask rules out tinted.

    Args:
        frame: `[3, H, W]`, RGB in [0, 1].
        mask: `[1, H, W]` in [0, 1]: 1 is trusted and left alone.
        color: of what is not.
        opacity: of the tint where the mask is 0.

    Returns:
        `[3, H, W]`, RGB in [0, 1].
    """
    tint = frame.new_tensor(color).view(3, 1, 1)
    share = opacity * (1.0 - mask.to(frame.dtype))
    return frame * (1.0 - share) + tint * share
