"""Lite, the embedded network: aligns the sharp moments around a frame with it and lets them restore it.

Made for hand shake, where the blur of a frame is missing from other frames close by. For every frame to restore
(the target) it takes the few frames of the window that promise most (the sources, `ops.source_frames`), finds the
flow to each with a small coarse-to-fine network trained on blurry pictures with the exact flow of synthesis, and
restores it with them (`nets.lite_scale`).

The same weights work from a small picture up: what restoring a frame at half its size changes is added before it is
restored at full size. On a real night clip this was worth 3 dB, for a long blur is a short one in a small picture;
where the blur is short it costs up to 3 dB. So the network's own doubt in the flow chooses: small looks at a frame
cost little and say where it will be sure. Four sets of synthetic clips gained 0.2 to 0.8 dB over a choice by how
blurred a frame is among others, and 0.1 dB is left to the best choice for every frame, which nobody knows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from selfhvd_cli.nets.lite_alignment import Alignment
from selfhvd_cli.nets.lite_pictures import Shot, padded, with_change
from selfhvd_cli.nets.lite_scale import GRID, LiteScale
from selfhvd_cli.ops.blocks import half_size
from selfhvd_cli.ops.phases import split, to_channels
from selfhvd_cli.ops.sharpness import sharpness
from selfhvd_cli.ops.source_frames import choose_sources

SMALLEST_SCALE = 250
"""Short side in pixels down to which a frame is halved: a blur of 30 pixels in 1080p is one of 8 there. At 640×480
no halving is better than one (4.1 against 3.5 dB on the blurry half of synthetic clips)."""

SURE = -2.65, -1.9
"""Doubt at a quarter of the size, and at its own after a search, below which a frame is restored at its own size."""

LIKELY = -2.2, -1.7
"""The same at half the size, and at its own where that flow is refined: quicker than a search, but 0.1 dB less for a
sharp frame. Where a search goes astray it is better."""

UNSURE = -2.1
"""Doubt at a smaller size above which a frame is restored at half of that first, where that lessens the doubt."""

KNOWN_LEVELS = 2
"""Levels that are refined where a smaller size has found the flow, and has not been restored."""


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

    @cached_property
    def doubt(self) -> float:
        """Mean log of the endpoint error that the network expects of itself, in pixels of its grid; to know it is to
        wait for the device."""
        return float(self.alignment.log_scale.mean())


class Lite(LiteScale):
    """The embedded network, from as small a picture as its doubt asks for up to the frame's own size."""

    def forward(self, frames: Tensor, keep: slice | None = None) -> Tensor:
        """Restore the frames of `keep` (all by default) with the help of all.

        Args:
            frames: `[B, T, 3, H, W]`, RGB in [0, 1]; H and W at least 64.
            keep: which of the T frames are wanted.

        Returns:
            `[B, K, 3, H, W]`, unclamped.
        """
        wanted = range(frames.shape[1])[keep or slice(None)]
        if self.scales(*frames.shape[-2:]) == 0:
            return self._together(frames, wanted)
        outputs = []
        for clip in frames:
            shots = [self.shot(lambda frame=frame: frame) for frame in clip.split(1)]  # type: ignore[misc]
            outputs += [self.restore_shot(shots, target) for target in wanted]
        return torch.cat(outputs).unflatten(0, (frames.shape[0], len(wanted)))

    def _together(self, clips: Tensor, wanted: Sequence[int]) -> Tensor:
        """`forward` of small pictures, all at once: convolutions of one of them end before they are well begun."""
        batch, length, _, height, width = clips.shape
        frames = clips.flatten(0, 1)
        scores = sharpness(half_size(frames.detach())).unflatten(0, (batch, length)).tolist()
        # For every target the target itself and its sources, as places among all frames.
        groups = [
            [clip * length + j for j in (target, *choose_sources(scores[clip], target, self.sources))]
            for clip in range(batch)
            for target in wanted
        ]
        needed, places = torch.tensor(groups).unique(return_inverse=True)
        here, there = places[:, 0].to(frames.device), places[:, 1:].to(frames.device)
        pictures = padded(frames[needed.to(frames.device)]) - 0.5
        channels = to_channels(split(pictures, GRID))
        described = self._describe(channels, self.levels(*pictures.shape[-2:]))
        alignment = self._align([d[here] for d in described], [d[there.flatten()] for d in described])[-1]
        around = [pictures[each] for each in there.unbind(1)]
        restored = self._restore(split(pictures[here], GRID), channels[here], around, alignment, None)
        return (restored[..., :height, :width] + 0.5).unflatten(0, (batch, len(wanted)))

    @staticmethod
    def shot(load: Callable[[], Tensor]) -> Shot:
        """One frame of a clip for `restore_shot`: `load` gives it, `[1, 3, H, W]`, RGB in [0, 1]."""
        return Shot(load)

    def restore_shot(self, shots: Sequence[Shot], target: int) -> Tensor:
        """Restore one frame of a clip `[1, 3, H, W]`, unclamped; what is computed of the others stays in `shots`."""
        scores = [shot.score for shot in shots]
        around = [shots[j] for j in choose_sources(scores, target, self.sources)]
        look = self._least_doubtful(shots[target], around)
        return self._restored(look, around).add_(0.5)

    @staticmethod
    def scales(height: int, width: int) -> int:
        """How many times a frame is halved at most: long blur is short in a small picture, so that comes first."""
        halvings = 0
        while min(height, width) >> (halvings + 1) >= SMALLEST_SCALE:
            halvings += 1
        return halvings

    def _least_doubtful(self, target: Shot, sources: Sequence[Shot]) -> Look:
        """The target at its own size, as recorded or with what restoring it at smaller sizes changed."""
        possible = self.scales(*target.size)
        if possible == 0:
            return self._look(target, sources, 0)
        quarter = self._look(target, sources, 2)
        sharp = quarter.doubt < SURE[0]
        if sharp and (searched := self._look(target, sources, 0)).doubt < SURE[1]:
            return searched
        half = self._look(target, sources, 1)
        if not sharp and half.doubt < LIKELY[0]:
            refined = self._look(target, sources, 0, start=half.alignment)
            if refined.doubt < LIKELY[1]:
                return refined
        return self._look(target, sources, 0, self._begun(target, sources, [half, quarter][:possible]))

    def _begun(self, target: Shot, sources: Sequence[Shot], looks: list[Look]) -> Look:
        """The first of looks at a frame as recorded, or at what smaller sizes make of it, whichever has less doubt.

        Args:
            looks: large to small.
        """
        own, *below = looks
        if own.doubt <= UNSURE or own.scale == self.scales(*target.size):
            return own
        below = below or [self._look(target, sources, own.scale + 1)]
        smaller = self._begun(target, sources, below)
        return min(own, self._look(target, sources, own.scale, smaller), key=lambda look: look.doubt)

    def _look(
        self,
        target: Shot,
        sources: Sequence[Shot],
        scale: int,
        smaller: Look | None = None,
        start: Alignment | None = None,
    ) -> Look:
        """Align a target, halved `scale` times, with its sources.

        Args:
            smaller: at half this size; it is restored, and what that changes is added.
            start: flow at half this size; that of `smaller` by default, else it is searched for.
        """
        frame = seen = target.picture(scale)
        if smaller is not None:
            seen = with_change(frame, smaller.frame, self._restored(smaller, sources), -0.5)
            start = smaller.alignment
        here = split(padded(seen), GRID)
        channels = to_channels(here)
        levels = self.levels(here.shape[1] * GRID, here.shape[4] * GRID, begun=smaller is not None)
        if smaller is None and start is not None:
            levels = KNOWN_LEVELS
        described = [self._described(shot, scale, levels) for shot in sources]
        there = [torch.cat(level) for level in zip(*described, strict=True)]
        # A frame that has helped others is described already.
        known = smaller is None and scale in target.descriptors
        own = self._described(target, scale, levels) if known else self._describe(channels, levels)
        alignment = self._align(own, there, start)[-1]
        return Look(scale, frame, here, channels, smaller is not None, alignment)

    def _restored(self, look: Look, sources: Sequence[Shot]) -> Tensor:
        """The target of a look restored at its size, `[1, 3, h, w]`, centred."""
        height, width = look.frame.shape[-2:]
        around = [shot.source(look.scale) for shot in sources]
        recorded = split(padded(look.frame), GRID) if look.changed else None
        return self._restore(look.here, look.channels, around, look.alignment, recorded)[..., :height, :width]

    def _described(self, shot: Shot, scale: int, levels: int) -> list[Tensor]:
        """A source's `_describe`, kept for the other targets of the clip."""
        # A target that starts at this scale needs more levels than one that a smaller scale has prepared.
        if len(shot.descriptors.get(scale, ())) < levels:
            shot.descriptors[scale] = self._describe(to_channels(split(shot.source(scale), GRID)), levels)
        return shot.descriptors[scale][:levels]
