"""Guard: no frame leaves worse than it came."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Verdict:
    """What was done with one restored frame, and why."""

    strength: float
    """Mean share of the network's change that was applied, 0 to 1."""

    held_back: float
    """Share of pixels where more than half of the change was held back."""

    sharpness_before: float | None = None
    """Variance of the Laplacian of the input; None where it was not measured."""

    sharpness_after: float | None = None
    """The same of the result."""

    shift: float | None = None
    """Mean displacement of the network's picture against the input, in pixels."""

    reason: str = ""
    """Why something was held back, in words; empty if nothing was."""


def apply(frame: Tensor, restored: Tensor, strength: float = 1.0) -> tuple[Tensor, Verdict]:
    """The restored frame in [0, 1], unchecked but for numbers that are none.

    Args:
        frame: the input, `[3, H, W]`, RGB in [0, 1].
        restored: the network's picture of it, same shape, unclamped.
        strength: share of the change to apply.
    """
    if not torch.isfinite(restored).all():
        return frame, Verdict(0.0, 1.0, reason="the network gave no numbers (NaN or infinity)")
    return torch.lerp(frame, restored.clamp(0.0, 1.0), strength), Verdict(strength, 0.0)


def guard(frame: Tensor, restored: Tensor, strength: float = 1.0) -> tuple[Tensor, Verdict]:
    return apply(frame, restored, strength)
