"""A moving picture on which networks are tried and timed."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def moving_picture(count: int, height: int, width: int) -> Tensor:
    """`[T, 3, H, W]`: soft patches that move by (3, 2) pixels a frame, for a network must find some motion."""
    generator = torch.Generator().manual_seed(0)
    reach = 3 * count
    size = (-(-(height + reach) // 8) + 1, -(-(width + reach) // 8) + 1)
    patches = torch.rand(1, 3, *size, generator=generator)
    picture = F.interpolate(patches, scale_factor=8.0, mode="bilinear", align_corners=False)[0]
    return torch.stack([picture[:, 2 * t : 2 * t + height, 3 * t : 3 * t + width] for t in range(count)])
