"""Clip: consecutive frames and their times, the value every layer exchanges.

One convention holds everywhere between the borders of the program:

- pictures are RGB, float32, in [0, 1], in the stream's own transfer curve (a gamma, HLG or PQ signal stays one);
- a clip is `[T, 3, H, W]`, a batch of clips `[B, T, 3, H, W]`;
- flow is `[B, 2, H, W]`, (dx, dy) in pixels;
- time is a `Fraction` of seconds;
- pictures are in stored orientation: the display matrix is never applied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor


@dataclass(frozen=True)
class Clip:
    """Consecutive frames with their presentation times; `clip[2:5]` is a `Clip` again."""

    frames: Tensor
    """`[T, 3, H, W]`, float32, RGB in [0, 1] in the stream's transfer curve, stored orientation."""

    times: tuple[Fraction, ...]
    """T presentation times in seconds, strictly increasing."""

    def __post_init__(self) -> None:
        if self.frames.dim() != 4 or self.frames.shape[1] != 3:
            raise ValueError(f"frames must be [T, 3, H, W], got {tuple(self.frames.shape)}")
        if self.frames.shape[0] != len(self.times):
            raise ValueError(f"got {self.frames.shape[0]} frames and {len(self.times)} times")
        if any(later <= earlier for earlier, later in zip(self.times, self.times[1:], strict=False)):
            raise ValueError("times must increase from frame to frame")

    def __len__(self) -> int:
        return len(self.times)

    def __getitem__(self, index: slice) -> Clip:
        return Clip(self.frames[index], self.times[index])

    def __repr__(self) -> str:
        span = f"{float(self.times[0]):.3f}..{float(self.times[-1]):.3f} s" if self.times else "empty"
        return f"Clip({tuple(self.frames.shape)}, {span})"

    @staticmethod
    def join(clips: Sequence[Clip]) -> Clip:
        """The clips after one another as one clip."""
        return Clip(torch.cat([clip.frames for clip in clips]), tuple(t for clip in clips for t in clip.times))
