"""Nearby: the largest value around every place of a map."""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def highest_within(maps: Tensor, reach: int) -> Tensor:
    """Largest value of the square that goes `reach` pixels to every side, as far as it lies within the map.

    Args:
        maps: `[N, C, H, W]`, float32, without a gradient.
    """
    side = 2 * reach + 1
    if maps.device.type != "cpu":
        return F.max_pool2d(maps, side, stride=1, padding=reach)
    # One direction after the other, which max_pool2d does not do: it takes a hundred times as long.
    highest, square = torch.empty(maps.shape), np.ones((side, side), np.uint8)
    for plane, target in zip(maps.flatten(0, 1), highest.flatten(0, 1), strict=True):
        cv2.dilate(plane.numpy(), square, dst=target.numpy())
    return highest
