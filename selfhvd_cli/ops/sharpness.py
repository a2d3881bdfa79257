"""Sharpness of pictures, S(I) = Var(Laplacian(gray(I))): the paper's measure (section 3.2, Eq. 1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""Weights of R, G, B in the grey picture (BT.601, as in OpenCV)."""


def gray(frames: Tensor) -> Tensor:
    """Grey picture `[..., 1, H, W]` of RGB pictures `[..., 3, H, W]`."""
    r, g, b = frames.unbind(-3)
    return (LUMA[0] * r + LUMA[1] * g + LUMA[2] * b).unsqueeze(-3)


def laplacian(image: Tensor) -> Tensor:
    """4-neighbour Laplacian of `[N, 1, H, W]`, edges mirrored as OpenCV does by default (reflect-101)."""
    kernel = image.new_tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]]).view(1, 1, 3, 3)
    return F.conv2d(F.pad(image, (1, 1, 1, 1), mode="reflect"), kernel)


def sharpness(frames: Tensor) -> Tensor:
    """Variance of the Laplacian of each frame, in squared 8-bit code values.

    Args:
        frames: `[T, 3, H, W]`, RGB in [0, 1], H and W at least 2.

    Returns:
        `[T]`, float32: 100 means the same as 100 from OpenCV on the 8-bit picture.
    """
    scores = [laplacian(gray(frame.float().unsqueeze(0) * 255.0)).var(correction=0) for frame in frames]
    return torch.stack(scores) if scores else torch.zeros(0)
