"""Batches of crops, drawn from the seed and the step alone, so that a resumed run sees what it would have seen."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from selfhvd_cli.training.approach import Approach
from selfhvd_cli.training.config import AdaptConfig
from selfhvd_cli.training.enhance import remove_sharp_clues
from selfhvd_cli.training.footage import Shot
from selfhvd_cli.training.reblur import blurry_moments, reblur_like

TRIES = 3
"""Places drawn for a crop, of which the one with most detail is taken: night clips are mostly black."""


@dataclass(frozen=True)
class Batch:
    """B sequences of T frames, K of which are targets with labels."""

    frames: Tensor
    """`[B, T, 3, h, h]`, RGB in [0, 1]: V."""

    keep: tuple[slice, ...]
    """The targets of each sequence, K frames."""

    labels: Tensor
    """`[B, K, 3, h, h]`: I_ψ of each target, from a place where the crop's content lies, not yet aligned."""

    own: Tensor
    """`[B, K]`, bool: the label is the target itself, a sharp frame."""

    reblurred: Tensor
    """`[B, K]`, bool: the target shows its sharp frame under borrowed blur, and its label the frame without."""

    taught: Tensor
    """`[B, K]`, bool: the target takes part; withheld frames do not."""

    reduced: Tensor
    """`[B, T]`, long: which frame stands at each place in V⁻ (RSCR); equal to the place where nothing changed."""

    def to(self, device: torch.device) -> Batch:
        """The batch on a device."""
        return Batch(
            self.frames.to(device, non_blocking=True),
            self.keep,
            self.labels.to(device, non_blocking=True),
            self.own.to(device),
            self.reblurred.to(device),
            self.taught.to(device),
            self.reduced.to(device),
        )

    def pinned(self) -> Batch:
        """The batch with its pictures in memory from which CUDA copies beside other work."""
        return replace(self, frames=self.frames.pin_memory(), labels=self.labels.pin_memory())

    @property
    def targets(self) -> Tensor:
        """`[B, K, 3, h, h]`: the input frames at the targets."""
        return torch.stack([frames[keep] for frames, keep in zip(self.frames, self.keep, strict=True)])


class Batches:
    """Draws the batch of any step."""

    def __init__(
        self, shots: Sequence[Shot], approach: Approach, config: AdaptConfig, *, selects_frames: bool
    ) -> None:
        """
        Args:
            shots: at least one, each of at least 2 frames; all take part.
            selects_frames: whether the network computes only the frames that are wanted of it.
        """
        self.length = min(config.sequence, max(len(shot) for shot in shots))
        """Frames of a sequence, where no shot of the batch is shorter."""

        self.shots = list(shots)
        self.side = min(config.crop, *(min(shot.size) // 8 * 8 for shot in self.shots))
        self.selects_frames = selects_frames
        self.approach = approach
        self.config = config
        weights = np.array([max(1, len(shot.blurry)) for shot in self.shots], dtype=np.float64)
        self.weights = weights / weights.sum()

    def since(self, step: int, rank: int = 0, processes: int = 1) -> Iterator[Batch]:
        """The batches of `step` and of all steps after it, each drawn when it is asked for."""
        return (self.draw(number, rank, processes) for number in itertools.count(step))

    def draw(self, step: int, rank: int = 0, processes: int = 1) -> Batch:
        """The part of step `step`'s batch that belongs to process `rank` of `processes`."""
        size = self.config.batch // processes
        # Sequences of one batch are of one length, over all processes.
        length = min(self.length, *(len(self._shot(self._rng(step, i))) for i in range(self.config.batch)))
        items = [self._item(step, rank * size + number, length) for number in range(size)]
        parts, keeps = zip(*items, strict=True)
        frames, labels, *marks = (torch.stack(column) for column in zip(*parts, strict=True))
        return Batch(frames, tuple(keeps), labels, *marks)

    def _rng(self, step: int, number: int) -> np.random.Generator:
        """The source of all that is drawn for one crop."""
        return np.random.default_rng((self.config.seed, step, number))

    def _shot(self, rng: np.random.Generator) -> Shot:
        return self.shots[int(rng.choice(len(self.shots), p=self.weights))]

    def _item(self, step: int, number: int, length: int) -> tuple[tuple[Tensor, ...], slice]:
        """Frames, labels, own, re-blurred, taught and reduced of one crop, and its targets."""
        rng = self._rng(step, number)
        shot = self._shot(rng)
        count = min(self.config.targets, length) if self.selects_frames else length
        reblurred = rng.random() < self.config.reblurred
        # Evenly spread, so that with a share of a half every batch of two has one of each.
        place = step * self.config.batch + number
        sharp = int((place + 1) * self.config.sharp_share) > int(place * self.config.sharp_share)
        target = self._target(shot, rng, sharp or reblurred)
        first = int(np.clip(target - rng.integers(length), 0, len(shot) - length))
        if count < length:
            first = int(np.clip(target - length // 2, 0, len(shot) - length))
        start = int(np.clip(target - first - count // 2, 0, length - count))
        keep = slice(start, start + count)
        top, left = self._place(shot, target, rng)
        frames = torch.stack([shot.crop(first + i, top, left, self.side) for i in range(length)])
        wanted = range(first + keep.start, first + keep.stop)
        near = [self.approach.crop_near(shot, frame, self._label(shot, frame, rng), top, left, self.side)
                for frame in wanted]  # fmt: skip
        labels = torch.stack(near)
        if reblurred:
            moments = blurry_moments(shot)
            moment = moments[int(rng.integers(len(moments)))]
            frames[target - first] = reblur_like(frames[target - first], shot, target, moment, self.approach)
        own = torch.tensor([shot.label_of(frame) == frame for frame in wanted])
        borrowed = torch.tensor([reblurred and frame == target for frame in wanted])
        taught = torch.tensor([frame not in shot.withheld for frame in wanted])
        chosen = set(shot.sharp.indices)
        is_sharp = [first + i in chosen and not (reblurred and first + i == target) for i in range(length)]
        reduced = torch.tensor(remove_sharp_clues(is_sharp, rng))
        turn = int(rng.integers(8))
        return (turned(frames, turn), turned(labels, turn), own, borrowed, taught, reduced), keep

    def _target(self, shot: Shot, rng: np.random.Generator, sharp: bool) -> int:
        blurry, teachers = shot.blurry, shot.teachers
        pool = teachers if sharp or not blurry else blurry
        return int(pool[int(rng.integers(len(pool)))])

    def _label(self, shot: Shot, frame: int, rng: np.random.Generator) -> int:
        near = shot.labels_of(frame, self.config.neighbours)
        return near[int(rng.integers(len(near)))]

    def _place(self, shot: Shot, target: int, rng: np.random.Generator) -> tuple[int, int]:
        """Top and left of the crop."""
        height, width = shot.size
        label = shot.label_of(target)
        best, place = -1.0, (0, 0)
        for _ in range(TRIES):
            top, left = (int(rng.integers(size - self.side + 1)) for size in (height, width))
            crop = shot.crop(label, top, left, self.side)[:, ::2, ::2]
            detail = float(crop.diff(dim=1).abs().mean() + crop.diff(dim=2).abs().mean())
            if detail > best:
                best, place = detail, (top, left)
        return place


def turned(frames: Tensor, turn: int) -> Tensor:
    """One of the eight ways to flip and turn `[..., H, W]`; 0 leaves it as it is."""
    if turn & 1:
        frames = frames.flip(-1)
    if turn & 2:
        frames = frames.flip(-2)
    return (frames.transpose(-1, -2) if turn & 4 else frames).contiguous()
