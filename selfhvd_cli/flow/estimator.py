"""What every optical flow estimator takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class Flow:
    """Motion from a source picture to a target: `warp(target, flow.vectors)` is aligned with the source."""

    vectors: Tensor
    """`[B, 2, H, W]`, float32, (dx, dy) in pixels."""

    confidence: Tensor
    """`[B, 1, H, W]`, float32 in [0, 1]: exp(-U) of the estimator's own uncertainty U; all 1 where it has none."""

    def __post_init__(self) -> None:
        batch, two, height, width = self.vectors.shape
        if two != 2 or self.confidence.shape != (batch, 1, height, width):
            raise ValueError(
                f"a flow is [B, 2, H, W] with confidence [B, 1, H, W], got {tuple(self.vectors.shape)} "
                f"and {tuple(self.confidence.shape)}"
            )


class FlowEstimator(Protocol):
    """A callable that finds the motion between pictures of one size, at least 16 pixels a side."""

    def __call__(self, source: Tensor, target: Tensor) -> Flow:
        """Flow from `source` to `target`, both `[B, 3, H, W]`, RGB in [0, 1], on one device.

        The flow is of the same size and on the same device; estimators take no gradient.
        """
        ...
