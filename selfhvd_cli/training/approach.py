"""Bringing labels near: how far the picture moved between two frames, so that a small crop still sees its label."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.flow.estimator import FlowEstimator
from selfhvd_cli.training.footage import Shot
from selfhvd_cli.training.labels import RestoredLabels

SIDE = 384
"""Short side in pixels at which whole frames are compared; what that leaves, the crop's own flow finds."""

GRID = 24
"""Short side of the stored fields: shake is smooth, and a long clip has many pairs of frames."""


class Approach:
    """Coarse flow between whole frames, found when first asked for and remembered."""

    def __init__(
        self, estimator: FlowEstimator, device: torch.device, restored: RestoredLabels | None = None
    ) -> None:
        """
        Args:
            restored: where labels come from; None takes the sharp frames as they were recorded.
        """
        self.estimator = estimator
        self.device = device
        self.restored = restored
        self._fields: dict[tuple[int, int, int], Tensor] = {}

    def field(self, shot: Shot, source: int, target: int) -> Tensor:
        """`[2, h, w]` on the CPU: flow between two frames of a shot, in pixels of the frame, on a small grid."""
        key = (id(shot.footage), shot.first + source, shot.first + target)
        if key not in self._fields:
            self._fields[key] = self._find(shot.picture(source), shot.picture(target))
        return self._fields[key]

    def shift(self, shot: Shot, source: int, target: int, top: int, left: int, side: int) -> tuple[int, int]:
        """(rows, columns) by which the content of a crop of `source` has moved in `target`: its median, rounded."""
        if source == target:
            return 0, 0
        field = self.field(shot, source, target)
        height, width = shot.size
        rows = _span(top, side, height, field.shape[1])
        columns = _span(left, side, width, field.shape[2])
        inside = field[:, rows, columns].flatten(1).median(dim=1).values
        return round(float(inside[1])), round(float(inside[0]))

    def crop_near(self, shot: Shot, source: int, target: int, top: int, left: int, side: int) -> Tensor:
        """`[3, side, side]`: the part of sharp frame `target` that shows what the crop of `source` shows.

        As far as whole pixels and the borders of the frame allow; the rest is left to the crop's own flow.
        """
        down, right = self.shift(shot, source, target, top, left, side)
        height, width = shot.size
        top, left = min(max(top + down, 0), height - side), min(max(left + right, 0), width - side)
        return self.label(shot, target, top, left, side)

    def label(self, shot: Shot, frame: int, top: int, left: int, side: int) -> Tensor:
        """`[3, side, side]`: a part of sharp frame `frame`, as it teaches."""
        if self.restored is None:
            return shot.crop(frame, top, left, side)
        return self.restored.crop(shot, frame, top, left, side)

    @torch.no_grad()
    def _find(self, source: Tensor, target: Tensor) -> Tensor:
        height, width = source.shape[-2:]
        small = _reduced(height, width, SIDE)
        pair = torch.stack((source, target))
        if small != (height, width):
            pair = F.interpolate(pair, size=small, mode="area")  # Apple's GPUs only reduce by whole numbers
        flow = self.estimator(*pair.to(self.device).split(1)).vectors.cpu()
        flow = F.adaptive_avg_pool2d(flow, _reduced(height, width, GRID))[0]
        scale = flow.new_tensor([width / small[1], height / small[0]]).view(2, 1, 1)
        return flow * scale


def _reduced(height: int, width: int, side: int) -> tuple[int, int]:
    """The size whose short side is at most `side`."""
    ratio = min(1.0, side / min(height, width))
    return max(1, round(height * ratio)), max(1, round(width * ratio))


def _span(start: int, length: int, whole: int, cells: int) -> slice:
    """The cells of a grid that a stretch of pixels touches, at least one."""
    first = start * cells // whole
    last = -(-(start + length) * cells // whole)
    return slice(min(first, cells - 1), max(last, first + 1))
