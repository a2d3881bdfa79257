"""Probes: fixed places of the clips at which a network is looked at while it learns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from selfhvd_cli.device import Compute
from selfhvd_cli.ops.displacement import displacement
from selfhvd_cli.ops.sharpness import sharpness
from selfhvd_cli.restore.restorer import Restorer
from selfhvd_cli.training.footage import Shot

SIDE = 256
"""Largest side of a probe in pixels."""


@dataclass(frozen=True)
class Probe:
    """One sequence of crops, one frame of which is looked at."""

    frames: Tensor
    """`[T, 3, h, h]`, RGB in [0, 1]."""

    place: int
    """The frame that is looked at."""

    top: int
    """Its upper border in the frame, pixels."""

    left: int
    """Its left border in the frame, pixels."""

    name: str
    """Where it is from, for people."""

    truth: Tensor | None = None
    """`[3, h, h]`: what it should look like, where that is known."""

    mask: Tensor | None = None
    """`[1, h, h]`: how far to trust the truth; None is 1 everywhere."""

    @property
    def input(self) -> Tensor:
        """`[3, h, h]`: the frame as it is."""
        return self.frames[self.place]


@torch.no_grad()
def restore_probe(restorer: Restorer, probe: Probe, compute: Compute) -> Tensor:
    """`[3, h, h]` on the CPU, in [0, 1]."""
    with compute.autocast():
        output = restorer(probe.frames.unsqueeze(0).to(compute.device), slice(probe.place, probe.place + 1))
    return output[0, 0].float().clamp(0, 1).cpu()


@dataclass(frozen=True)
class Look:
    """What a network does to the blurry probes."""

    sharpness: float
    """Mean S of its outputs."""

    shift: float
    """Mean displacement of its outputs against the inputs, in pixels."""


def look(restorer: Restorer, probes: Sequence[Probe], compute: Compute) -> Look:
    """Sharpness and displacement of a network's outputs, over all probes; NaN where an output holds no numbers."""
    sharp, shift = 0.0, 0.0
    for probe in probes:
        output = restore_probe(restorer, probe, compute).unsqueeze(0)
        sharp += float(sharpness(output)) / len(probes)
        shift += float(displacement(output, probe.input.unsqueeze(0))) / len(probes)
    return Look(sharp, shift)


def blurry_probes(shots: Sequence[Shot], count: int, length: int) -> list[Probe]:
    """Real blurry frames, spread over the clips; fewer than `count` where there are fewer.

    Args:
        length: frames of a sequence.
    """
    frames = [(number, frame) for number, shot in enumerate(shots) for frame in shot.blurry]
    return [cut(shots[number], frame, length, f"frame {frame}") for number, frame in spread(frames, count)]


def cut(shot: Shot, frame: int, length: int, name: str) -> Probe:
    """The probe around a frame, at the place of the shot that has most detail."""
    side = probe_side(shot)
    top, left = most_detailed(shot, shot.label_of(frame), side)
    length = min(length, len(shot))
    first = min(max(frame - length // 2, 0), len(shot) - length)
    frames = torch.stack([shot.crop(first + i, top, left, side) for i in range(length)])
    return Probe(frames, frame - first, top, left, name)


def probe_side(shot: Shot) -> int:
    """Side of a probe in pixels: a multiple of 8."""
    return min(SIDE, min(shot.size) // 8 * 8)


def most_detailed(shot: Shot, frame: int, side: int) -> tuple[int, int]:
    """Top and left of the square with the strongest gradients, on a coarse raster."""
    picture = shot.picture(frame)
    height, width = shot.size
    best, place = -1.0, (0, 0)
    for top in _raster(height - side):
        for left in _raster(width - side):
            crop = picture[:, top : top + side : 2, left : left + side : 2]
            # The mean square would be ruled by one bright lamp, the mean root by many small edges.
            detail = float(crop.diff(dim=1).abs().sqrt().mean() + crop.diff(dim=2).abs().sqrt().mean())
            if detail > best:
                best, place = detail, (top, left)
    return place


def spread(items: Sequence[tuple[int, int]], count: int) -> Iterator[tuple[int, int]]:
    """`count` of the items, evenly spread; all of them where there are not more."""
    if len(items) <= count:
        yield from items
        return
    for number in range(count):
        yield items[(2 * number + 1) * len(items) // (2 * count)]


def _raster(room: int) -> list[int]:
    """Up to four positions from 0 to `room`."""
    return sorted({round(room * part / 3) for part in range(4)})
