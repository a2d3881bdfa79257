"""Looks for Lite: targets of one size, aligned with their sources and restored by them, as many at once as ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from selfhvd_cli.nets.lite_alignment import Alignment
from selfhvd_cli.nets.lite_pictures import Shot, padded, with_change
from selfhvd_cli.nets.lite_scale import GRID, LiteScale
from selfhvd_cli.ops.batches import joined, some_by_some
from selfhvd_cli.ops.phases import split, to_channels

KNOWN_LEVELS = 2
"""Levels that are refined where a smaller size has found the flow, and has not been restored."""


@dataclass(frozen=True)
class Looking:
    """What a target asks for: to be aligned with its sources. The answer is a `Look`."""

    target: Shot
    sources: Sequence[Shot]
    scale: int
    """How many times they are halved."""

    smaller: Look | None = None
    """At half this size; it is restored, and what that changes is added."""

    start: Alignment | None = None
    """Flow at half this size; that of `smaller` by default, else it is searched for."""

    @property
    def kind(self) -> tuple[int, ...]:
        """Small pictures first: what is large is better done with others of its kind."""
        smaller = self.smaller
        return -self.scale, 0, smaller is not None, smaller is not None and smaller.changed, self.start is not None


@dataclass(frozen=True)
class Restoring:
    """What a target asks for: to be restored as it was looked at. The answer is `[1, 3, h, w]`, centred."""

    look: Look
    sources: Sequence[Shot]

    @property
    def kind(self) -> tuple[int, ...]:
        return -self.look.scale, 1, self.look.changed


class Doubts:
    """How far targets that were aligned together may be off, each; to know it is to wait for the device once."""

    def __init__(self, alignment: Alignment, targets: int) -> None:
        self._log_scale = alignment.log_scale.detach()
        self._targets = targets

    @cached_property
    def each(self) -> list[float]:
        """Mean log of the endpoint error that the network expects of itself, in pixels of its grid."""
        found: list[float] = self._log_scale.reshape(self._targets, -1).mean(1).tolist()
        return found


@dataclass(frozen=True)
class Look:
    """A target of one size, aligned with its sources."""

    scale: int
    """How many times its frame is halved."""

    frame: Tensor
    """The frame as recorded, `[1, 3, h, w]`, centred."""

    here: Tensor
    """Phases of what is looked at: the frame, or what became of it at a smaller size."""

    channels: Tensor
    """The same as the channels of a convolution."""

    changed: bool
    """Whether it was restored at a smaller size first."""

    alignment: Alignment
    """Its flow to each source."""

    doubts: Doubts
    place: int
    """Its place among those that were aligned with it."""

    @property
    def doubt(self) -> float:
        return self.doubts.each[self.place]


class LiteLooks(LiteScale):
    """The embedded network at each of its sizes, for targets among frames that remember what was computed of them."""

    def looks(self, wanted: Sequence[Looking]) -> list[Look]:
        """Look at targets of one kind."""
        first, count = wanted[0], len(wanted)
        scale = first.scale
        frames = seen = joined([each.target.picture(scale) for each in wanted])
        start = None
        if first.smaller is not None:
            # All of one kind have a smaller look, or none.
            smaller = [Restoring(each.smaller, each.sources) for each in wanted if each.smaller is not None]
            before = joined([each.look.frame for each in smaller])
            seen = with_change(frames, before, self.restored(smaller), -0.5)
            start = _together([each.look.alignment for each in smaller])
        elif first.start is not None:
            start = _together([each.start for each in wanted if each.start is not None])
        here = split(padded(seen), GRID)
        channels = to_channels(here)
        levels = self.levels(here.shape[1] * GRID, here.shape[3] * GRID, begun=first.smaller is not None)
        if first.start is not None:
            levels = KNOWN_LEVELS
        there = self._described([shot for each in wanted for shot in each.sources], scale, levels, count)
        own = self._own(wanted, channels, levels)
        alignment = self._align(own, there, start)[-1]
        doubts = Doubts(alignment, count)
        flows, log_scales = (part.tensor_split(count) for part in alignment)
        return [
            Look(
                scale,
                frames[place : place + 1],
                here[place : place + 1],
                channels[place : place + 1],
                first.smaller is not None,
                Alignment(flows[place], log_scales[place]),
                doubts,
                place,
            )
            for place in range(count)
        ]

    def restored(self, wanted: Sequence[Restoring]) -> Tensor:
        """Restore targets of one kind at the size of their looks: `[B, 3, h, w]`, centred."""
        looks = [each.look for each in wanted]
        height, width = looks[0].frame.shape[-2:]
        shots = zip(*(each.sources for each in wanted), strict=True)
        around = [joined([shot.source(looks[0].scale) for shot in kth]) for kth in shots]
        frames = joined([look.frame for look in looks]) if looks[0].changed else None
        recorded = None if frames is None else split(padded(frames), GRID)
        here, channels = joined([look.here for look in looks]), joined([look.channels for look in looks])
        alignment = _together([look.alignment for look in looks])
        return self._restore(here, channels, around, alignment, recorded)[..., :height, :width]

    def _own(self, wanted: Sequence[Looking], channels: Tensor, levels: int) -> list[Tensor]:
        """What the targets are compared by, whose pictures are `channels`."""
        scale = wanted[0].scale
        # A frame that has helped others is described already.
        known = [each.smaller is None and scale in each.target.descriptors for each in wanted]
        fresh = [place for place, is_known in enumerate(known) if not is_known]
        if not fresh:
            return self._described([each.target for each in wanted], scale, levels, len(wanted))
        if len(fresh) == len(wanted):
            return self._describe(channels, levels)
        made = self._describe(joined([channels[place : place + 1] for place in fresh]), levels)
        parts = [
            self._described([each.target], scale, levels, 1) if there else []
            for each, there in zip(wanted, known, strict=True)
        ]
        for index, place in enumerate(fresh):
            parts[place] = [level[index : index + 1] for level in made]
        return [torch.cat(level) for level in zip(*parts, strict=True)]

    def _described(self, shots: Sequence[Shot], scale: int, levels: int, at_once: int) -> list[Tensor]:
        """What shots are compared by, level by level; kept for the other targets of the clip.

        Args:
            at_once: of how many it may be computed together.
        """
        # A target that starts at this scale needs more levels than one that a smaller scale has prepared.
        new = [shot for shot in dict.fromkeys(shots) if len(shot.descriptors.get(scale, ())) < levels]
        for part in some_by_some(new, at_once):
            pictures = joined([shot.source(scale) for shot in part])
            made = self._describe(to_channels(split(pictures, GRID)), levels)
            for place, shot in enumerate(part):
                shot.descriptors[scale] = [level[place : place + 1] for level in made]
        return [joined([shot.descriptors[scale][level] for shot in shots]) for level in range(levels)]


def _together(alignments: Sequence[Alignment]) -> Alignment:
    flows, log_scales = zip(*alignments, strict=True)
    return Alignment(joined(flows), joined(log_scales))
