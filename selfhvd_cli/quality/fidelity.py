"""PSNR and SSIM of a picture against its reference, in RGB, as restoration papers report them."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from torch import Tensor

WINDOW = 11
SIGMA = 1.5
"""Gaussian window of SSIM (Wang et al., 2004)."""

STABILISERS = (0.01**2, 0.03**2)
"""SSIM's C1 and C2 for signals in [0, 1]."""

SMALLEST = WINDOW
"""Side in pixels below which no window fits into the picture."""


def psnr(picture: Tensor, reference: Tensor) -> float:
    """Peak signal-to-noise ratio in dB over all three channels; infinite for equal pictures.

    Args:
        picture, reference: `[3, H, W]`, RGB in [0, 1].
    """
    difference = _planes(picture) - _planes(reference)
    error = float(np.square(difference).mean())
    return -10.0 * math.log10(error) if error > 0 else math.inf


def ssim(picture: Tensor, reference: Tensor) -> float:
    """Structural similarity (Wang et al., 2004), the mean over the three channels and over all whole windows.

    Args:
        picture, reference: `[3, H, W]`, RGB in [0, 1], at least 11 pixels a side.

    Returns:
        1 for equal pictures.
    """
    c1, c2 = STABILISERS
    total = 0.0
    planes = zip(_planes(picture), _planes(reference), strict=True)
    for x, y in planes:
        mean_x, mean_y = _windowed(x), _windowed(y)
        var_x = _windowed(x * x) - mean_x * mean_x
        var_y = _windowed(y * y) - mean_y * mean_y
        covariance = _windowed(x * y) - mean_x * mean_y
        likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
        likeness /= (mean_x * mean_x + mean_y * mean_y + c1) * (var_x + var_y + c2)
        total += float(likeness.mean())
    return total / 3


def _windowed(values: Any) -> Any:
    """Gaussian means over the windows that lie within the plane."""
    reach = WINDOW // 2
    means = cv2.GaussianBlur(values, (WINDOW, WINDOW), SIGMA)
    return means[reach:-reach, reach:-reach]


def _planes(picture: Tensor) -> Any:
    # In float64: E[x²] - E[x]² cancels most of float32's digits in flat places.
    return picture.detach().cpu().numpy().astype(np.float64)
