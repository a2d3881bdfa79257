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
from typing import TypeVar

from torch import Tensor

from selfhvd_cli.nets.lite_looks import LiteLooks, Look, Looking, Restoring
from selfhvd_cli.nets.lite_pictures import Shot, score_together
from selfhvd_cli.nets.side_by_side import Story, side_by_side
from selfhvd_cli.ops.batches import joined, some_by_some
from selfhvd_cli.ops.source_frames import choose_sources

Result = TypeVar("Result")

Asking = Story[Looking | Restoring, Result]

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


class Lite(LiteLooks):
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
        clips = [[self.shot(lambda frame=frame: frame) for frame in clip.split(1)] for clip in frames]  # type: ignore[misc]
        targets = [(shots, target) for shots in clips for target in wanted]
        # Convolutions of one small picture end before they are well begun; large ones only take more memory at once.
        count = len(targets) if self.scales(*frames.shape[-2:]) == 0 else 1
        parts = [self.restore_shots(some) for some in some_by_some(targets, count)]
        return joined(parts).unflatten(0, (frames.shape[0], len(wanted)))

    @staticmethod
    def shot(load: Callable[[], Tensor]) -> Shot:
        """One frame of a clip for `restore_shots`: `load` gives it, `[1, 3, H, W]`, RGB in [0, 1]."""
        return Shot(load)

    def restore_shots(self, targets: Sequence[tuple[Sequence[Shot], int]]) -> Tensor:
        """Restore frames of one size together, each given as the frames around it and its place among them.

        Returns:
            `[B, 3, H, W]`, unclamped; what is computed of the other frames stays in their shots.
        """
        score_together([shot for shots, _ in targets for shot in shots])
        stories = []
        for shots, target in targets:
            chosen = choose_sources([shot.score for shot in shots], target, self.sources)
            stories.append(self._restored_at_last(shots[target], [shots[j] for j in chosen]))
        return joined(side_by_side(stories, self._answer)).add_(0.5)

    def _answer(self, requests: Sequence[Looking | Restoring]) -> Sequence[Look | Tensor]:
        if isinstance(requests[0], Looking):
            return self.looks([each for each in requests if isinstance(each, Looking)])
        pictures = self.restored([each for each in requests if isinstance(each, Restoring)])
        return [pictures[place : place + 1] for place in range(len(pictures))]

    @staticmethod
    def scales(height: int, width: int) -> int:
        """How many times a frame is halved at most: long blur is short in a small picture, so that comes first."""
        halvings = 0
        while min(height, width) >> (halvings + 1) >= SMALLEST_SCALE:
            halvings += 1
        return halvings

    def _restored_at_last(self, target: Shot, sources: Sequence[Shot]) -> Asking[Tensor]:
        """The target `[1, 3, H, W]` restored at its own size, centred."""
        look = yield from self._least_doubtful(target, sources)
        restored: Tensor = yield Restoring(look, sources)
        return restored

    def _least_doubtful(self, target: Shot, sources: Sequence[Shot]) -> Asking[Look]:
        """The target at its own size, as recorded or with what restoring it at smaller sizes changed."""
        possible = self.scales(*target.size)
        if possible == 0:
            look: Look = yield Looking(target, sources, 0)
            return look
        quarter: Look = yield Looking(target, sources, 2)
        sharp = quarter.doubt < SURE[0]
        if sharp:
            searched: Look = yield Looking(target, sources, 0)
            if searched.doubt < SURE[1]:
                return searched
        half: Look = yield Looking(target, sources, 1)
        if not sharp and half.doubt < LIKELY[0]:
            refined: Look = yield Looking(target, sources, 0, start=half.alignment)
            if refined.doubt < LIKELY[1]:
                return refined
        smaller = yield from self._begun(target, sources, [half, quarter][:possible])
        prepared: Look = yield Looking(target, sources, 0, smaller)
        return prepared

    def _begun(self, target: Shot, sources: Sequence[Shot], looks: list[Look]) -> Asking[Look]:
        """The first of looks at a frame as recorded, or at what smaller sizes make of it, whichever has less doubt.

        Args:
            looks: large to small.
        """
        own, *below = looks
        if own.doubt <= UNSURE or own.scale == self.scales(*target.size):
            return own
        if not below:
            look: Look = yield Looking(target, sources, own.scale + 1)
            below = [look]
        smaller = yield from self._begun(target, sources, below)
        prepared: Look = yield Looking(target, sources, own.scale, smaller)
        return min(own, prepared, key=lambda look: look.doubt)
