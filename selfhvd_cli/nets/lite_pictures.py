"""Pictures for Lite: a clip at several sizes, and how what became of a small one reaches a large one."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


class Pyramid:
    """A clip, centred, at several sizes, each frame made when it is first needed, and the sources' features.

    Convolutions want values around zero, and a weighted mean of frames does not mind.
    """

    def __init__(self, clip: Tensor, half: Tensor) -> None:
        self.features: dict[tuple[int, int], list[Tensor]] = {}
        self._frames: dict[tuple[int, int], Tensor] = {}
        self._clip, self._half = clip, half

    def frame(self, number: int, scale: int) -> Tensor:
        """`[1, 3, h, w]`: frame `number`, halved `scale` times."""
        key = number, scale
        if key not in self._frames:
            if scale < 2:
                self._frames[key] = (self._clip, self._half)[scale][number : number + 1] - 0.5
            else:
                self._frames[key] = F.avg_pool2d(self.frame(number, scale - 1), 2)
        return self._frames[key]


def with_change(frame: Tensor, before: Tensor, after: Tensor, black: float = 0.0) -> Tensor:
    """`frame`, larger, plus what became of a small picture of it, `before`; in [black, black + 1]."""
    change = F.interpolate((after - before).float(), size=frame.shape[-2:], mode="bicubic", align_corners=False)
    return (frame + change).clamp(black, black + 1.0)


def padded(frame: Tensor) -> Tensor:
    """Edges repeated to the next multiple of 8 and to 64 pixels, which the pyramid needs."""
    height, width = frame.shape[-2:]
    down, right = max(64, -(-height // 8) * 8) - height, max(64, -(-width // 8) * 8) - width
    return F.pad(frame, (0, right, 0, down), mode="replicate") if down or right else frame


def beside(several: Tensor, one: Tensor, count: int) -> Tensor:
    """`[B·count, …]` and `[B, …]` as `[B·(count + 1), …]`."""
    return torch.cat((several.unflatten(0, (-1, count)), one.unsqueeze(1)), dim=1).flatten(0, 1)
