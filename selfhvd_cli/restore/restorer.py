"""Restorer: one network behind the project's convention, whatever its own borders, colours and lengths are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from selfhvd_cli.ops.constants import numbers


@dataclass(frozen=True)
class Convention:
    """How a network wants its frames: everything that differs between networks, as data."""

    channels: Literal["rgb", "bgr"] = "rgb"
    """Colour order the network was trained with."""

    offset: float = 0.0
    """Added to the [0, 1] values going in and taken off those coming out."""

    multiple_of: int = 1
    """Height and width must be multiples of this; the frame is extended at bottom and right, then cropped."""

    min_size: int = 1
    """Smallest height and width the network takes."""

    border: Literal["replicate", "symmetric", "reflect"] = "replicate"
    """How frames are extended in space: the edge pixel repeated, mirrored with it, or mirrored without it."""

    frames_multiple_of: int = 1
    """The number of frames must be a multiple of this; mirrored frames follow the last one."""

    lost_before: int = 0
    """Frames at the start for which the network gives no output; mirrored frames stand before the first one."""

    lost_after: int = 0
    """The same at the end."""

    selects_frames: bool = False
    """The network's forward takes `keep` and computes those frames only, all frames being sources."""

    remembers_frames: bool = False
    """The network also takes frames one by one, `shot`, and restores some among them, `restore_shots`: what it
    computed of a frame is then used for every other that this one helps."""


class Restorer(nn.Module):
    """A network in the project's convention: RGB in [0, 1], any size and length, one frame out per frame in.

    Args:
        network: `[B, T, 3, H, W]` to `[B, T - lost_before - lost_after, 3, H, W]` in its own convention.
        convention: that convention.
    """

    def __init__(self, network: nn.Module, convention: Convention) -> None:
        super().__init__()
        self.network = network
        self.convention = convention

    def forward(self, frames: Tensor, keep: slice | None = None) -> Tensor:
        """Restore frames; unclamped and differentiable.

        Args:
            frames: `[B, T, 3, H, W]`, RGB in [0, 1].
            keep: which of the T frames are wanted, step 1; None means all.

        Returns:
            `[B, K, 3, H, W]`, float32, RGB.
        """
        convention = self.convention
        count, height, width = frames.shape[1], frames.shape[-2], frames.shape[-1]
        start, stop, step = (keep or slice(None)).indices(count)
        if step != 1 or stop <= start:
            raise ValueError(f"keep must name at least one of {count} frames with step 1, got {keep}")
        wanted = slice(start, stop)

        given = self._given(frames)
        restored = self.network(given, wanted) if convention.selects_frames else self.network(given)[:, wanted]
        return self._taken(restored, height, width)

    def shot(self, load: Callable[[], Tensor]) -> Any:
        """One frame for `restore_shots`; only of networks that remember frames.

        Args:
            load: gives the frame, `[3, H, W]`, RGB in [0, 1], as often as it is called.
        """
        return cast(Any, self.network).shot(lambda: self._given(load()[None, None])[0])

    def restore_shots(self, targets: Sequence[tuple[Sequence[Any], int]], height: int, width: int) -> Tensor:
        """Restore frames of this size together, each given as the consecutive frames around it and its place there.

        Returns:
            `[B, 3, H, W]`, float32, RGB, unclamped.
        """
        return self._taken(cast(Any, self.network).restore_shots(targets), height, width)

    def _given(self, frames: Tensor) -> Tensor:
        """Frames as the network wants them."""
        given = self._extend(frames)
        if self.convention.channels == "bgr":
            given = given.flip(2)
        return given + self.convention.offset if self.convention.offset else given

    def _taken(self, restored: Tensor, height: int, width: int) -> Tensor:
        """The network's frames `[..., 3, h, w]` in the project's convention."""
        restored = restored[..., :height, :width].float()
        if self.convention.offset:
            restored = restored - self.convention.offset
        return restored.flip(-3) if self.convention.channels == "bgr" else restored

    def _extend(self, frames: Tensor) -> Tensor:
        """Frames extended in space at bottom and right, in time at both ends, to what the network takes."""
        convention = self.convention
        count, height, width = frames.shape[1], frames.shape[-2], frames.shape[-1]
        for axis, size in ((-2, height), (-1, width)):
            padded = round_up(max(size, convention.min_size), convention.multiple_of)
            frames = _take(frames, axis, _positions(size, 0, padded, convention.border))
        before = convention.lost_before
        total = round_up(before + count + convention.lost_after, convention.frames_multiple_of)
        # With outputs lost at the ends the nearest other frames carry news, the end frame twice does not.
        mode = "reflect" if before or convention.lost_after else "symmetric"
        return _take(frames, 1, _positions(count, -before, total - before, mode))


def round_up(value: int, multiple: int) -> int:
    """The smallest multiple that is not below `value`."""
    return -(-value // multiple) * multiple


def _positions(size: int, start: int, stop: int, border: str) -> Tensor | None:
    """Source index of every position from `start` to `stop`, outside `size` by the border rule; None if that is all.

    Unlike `F.pad` this also serves borders wider than the picture.
    """
    if (start, stop) == (0, size):
        return None
    position = torch.arange(start, stop)
    if border == "replicate" or size == 1:
        return position.clamp(0, size - 1)
    if border == "symmetric":
        position = position.remainder(2 * size)
        return torch.minimum(position, 2 * size - 1 - position)
    position = position.remainder(2 * size - 2)
    return torch.minimum(position, 2 * size - 2 - position)


def _take(frames: Tensor, axis: int, positions: Tensor | None) -> Tensor:
    if positions is None:
        return frames
    return frames.index_select(axis, numbers(tuple(positions.tolist()), frames.device, torch.int64))
