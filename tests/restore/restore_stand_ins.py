"""Networks simple enough to know their results by heart."""

from __future__ import annotations

from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfhvd_cli.clip import Clip
from selfhvd_cli.device import Compute

CPU = Compute(torch.device("cpu"), torch.float32, "a test")


class Identity(nn.Module):
    """Gives back what it gets, and remembers the sizes it got."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, frames: Tensor) -> Tensor:
        self.shapes.append(tuple(frames.shape))
        return frames


class Selecting(Identity):
    """Adds to every wanted frame the mean of its neighbours within `reach`; remembers what was wanted."""

    def __init__(self, reach: int = 1) -> None:
        super().__init__()
        self.reach = reach
        self.kept: list[slice] = []

    def forward(self, frames: Tensor, keep: slice) -> Tensor:  # type: ignore[override]
        self.shapes.append(tuple(frames.shape))
        self.kept.append(keep)
        wanted = range(*keep.indices(frames.shape[1]))
        around = [frames[:, max(0, i - self.reach) : i + self.reach + 1].mean(1) for i in wanted]
        return torch.stack(around, 1)


class LocalBlur(nn.Module):
    """A box blur: a receptive field of `2 * radius + 1` pixels, zeros outside the picture it is given."""

    def __init__(self, radius: int) -> None:
        super().__init__()
        self.radius = radius

    def forward(self, frames: Tensor) -> Tensor:
        side = 2 * self.radius + 1
        flat = frames.flatten(0, 1)
        return F.avg_pool2d(flat, side, stride=1, padding=self.radius).view_as(frames)


def texture(count: int, height: int, width: int, seed: int = 0) -> Tensor:
    """Smooth random frames `[T, 3, H, W]` in [0, 1] that do not resemble one another."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, max(2, height // 8), max(2, width // 8), generator=generator)
    return F.interpolate(coarse, (height, width), mode="bicubic", align_corners=False).clamp(0, 1)


def one_frame_clips(frames: Tensor, rate: int = 30) -> list[Clip]:
    """The frames as a reader gives them: one by one, with times."""
    return [Clip(frame.unsqueeze(0), (Fraction(i, rate),)) for i, frame in enumerate(frames)]
