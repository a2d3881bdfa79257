"""Pictures for Lite: a frame at several sizes, and how what became of a small one reaches a large one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.ops.blocks import half_size, resized
from selfhvd_cli.ops.sharpness import sharpness


class Shot:
    """One frame of a clip, and all that Lite computes of it once for every frame it helps to restore.

    Pictures are centred: convolutions want values around zero, and a weighted mean of frames does not mind.
    """

    def __init__(self, load: Callable[[], Tensor]) -> None:
        """
        Args:
            load: gives the frame, `[1, 3, H, W]`, RGB in [0, 1]. It is called again where the frame is needed at full
                size and helps no other: a window of such frames would take more memory than all the rest.
        """
        frame = load()
        half = half_size(frame)
        self.size = frame.shape[-2:]
        """Height and width."""

        self.descriptors: dict[int, list[Tensor]] = {}
        """What its features are compared by at each level, fine to coarse, by scale."""

        self._load = load
        self._score: float | None = None
        self._pictures = {1: half - 0.5}
        self._sources: dict[int, Tensor] = {}

    @property
    def score(self) -> float:
        """Sharpness at half the size."""
        if self._score is None:
            score_together([self])
        assert self._score is not None
        return self._score

    def picture(self, scale: int) -> Tensor:
        """`[1, 3, h, w]`: the frame halved `scale` times."""
        if scale in self._sources:
            height, width = self.size
            return self._sources[scale][..., : height >> scale, : width >> scale]
        if scale == 0:
            return self._load() - 0.5
        if scale not in self._pictures:
            self._pictures[scale] = half_size(self.picture(scale - 1))
        return self._pictures[scale]

    def source(self, scale: int) -> Tensor:
        """The same, `padded`, and kept."""
        if scale not in self._sources:
            self._sources[scale] = padded(self.picture(scale))
        return self._sources[scale]


def score_together(shots: Sequence[Shot]) -> None:
    """Compute the scores of shots of one size that have none, and wait for the device once."""
    new = [shot for shot in dict.fromkeys(shots) if shot._score is None]
    if new:
        halves = torch.cat([shot._pictures[1] for shot in new]).detach() + 0.5
        for shot, score in zip(new, sharpness(halves).tolist(), strict=True):
            shot._score = score


def with_change(frame: Tensor, before: Tensor, after: Tensor, black: float = 0.0) -> Tensor:
    """`frame`, larger, plus what became of a small picture of it, `before`; in [black, black + 1]."""
    change = resized(after - before, frame.shape[-2:], "bicubic")
    return change.add_(frame).clamp_(black, black + 1.0)


def padded(frame: Tensor) -> Tensor:
    """Edges repeated to the next multiple of 8 and to 64 pixels, which the pyramid needs."""
    height, width = frame.shape[-2:]
    down, right = max(64, -(-height // 8) * 8) - height, max(64, -(-width // 8) * 8) - width
    return F.pad(frame, (0, right, 0, down), mode="replicate") if down or right else frame
