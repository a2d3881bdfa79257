"""Blur of a single picture, judged by how little a further blur changes it (Crete et al., HVEI 2007)."""

from __future__ import annotations

import cv2
import numpy as np
from torch import Tensor

from selfhvd_cli.ops.sharpness import gray

REACH = 9
"""Pixels of the further blur, as in the paper."""


def blur_effect(frame: Tensor) -> float:
    """How blurred a picture is, with no other to compare it with.

    Args:
        frame: `[3, H, W]`, RGB in [0, 1].

    Returns:
        0 (every step between neighbours would be lost by blurring) to 1 (blurring changes nothing, or a flat
        picture); the worse of the two directions.
    """
    grey = gray(frame.float().cpu()).squeeze(0).numpy()
    return max(_along(grey), _along(np.ascontiguousarray(grey.T)))


def _along(grey: np.ndarray) -> float:
    """The score for blur along the rows."""
    blurred = cv2.blur(grey, (REACH, 1))
    steps = np.abs(np.diff(grey, axis=1))
    lost = np.maximum(steps - np.abs(np.diff(blurred, axis=1)), 0)
    total = float(steps.sum(dtype=np.float64))
    return 1.0 - float(lost.sum(dtype=np.float64)) / total if total > 0 else 1.0
