"""Learning rate over a training: warm-up, then cosine decay to a floor."""

from __future__ import annotations

from math import cos, pi


def learning_rate(step: int, steps: int, peak: float, *, warmup: int = 0, floor: float = 1e-7) -> float:
    """Rate of step `step` (from 0) of `steps`."""
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, steps - warmup))
    return floor + 0.5 * (peak - floor) * (1.0 + cos(pi * progress))
