"""One scale of Lite: a target of one size, aligned with its sources and restored by them.

Coarse to fine the flow to each source is found; the sources are warped at full resolution and mixed: each pixel of
the result is a weighted mean of the target and the aligned sources, plus a residual. All convolutions run at a
quarter of the resolution and below.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfhvd_cli.nets.lite_advice import Advice, mixed, summary
from selfhvd_cli.nets.lite_alignment import (
    CERTAIN,
    Alignment,
    FlowLevel,
    at_size,
    inside_picture,
    silence,
    unknown,
)
from selfhvd_cli.nets.lite_layers import Encoder, ResidualBlock, convolved
from selfhvd_cli.ops.constants import numbers
from selfhvd_cli.ops.phases import for_convolution, from_channels, join, split, to_channels
from selfhvd_cli.ops.warp import warp_phases

GRID = 4
"""Pixels a side that make one of the grid on which the network works; its phases are the channels."""

FINE_LEVELS = 1
"""Levels of the flow that are refined where a smaller scale has found it: its last is this scale's second."""


class Restoration(NamedTuple):
    """What `Lite.restore` gives."""

    frames: Tensor
    """`[B, 3, H, W]`."""

    alignments: list[Alignment]
    """One a level, coarse to fine, N = B·K; training supervises each."""


class LiteScale(nn.Module):
    """The embedded network at one size of picture.

    Args:
        sources: frames that help each target. With weights trained with three, four gave 0.05 dB more on synthetic
            clips and 0.2 on a real night clip, for an eighth more time, and five as much again; trained with four
            (9 500 steps more) they gave another 0.1 to 0.3 dB on synthetic clips.
        channels: width at a quarter of the resolution.
        deep: width at an eighth.
        blocks: residual blocks at an eighth.
    """

    def __init__(self, sources: int = 4, channels: int = 48, deep: int = 96, blocks: int = 3) -> None:
        super().__init__()
        self.sources = sources
        # Widths at a quarter are multiples of 16: on a processor a convolution of 24 outputs takes as long as one of
        # 32, and one of 17 twice as long as one of 16. What gives few numbers therefore looks at one pixel only.
        self.encoder = Encoder(32, 48, 64)
        self.flow_quarter = FlowLevel(32, 16, 16, radius=1, depth=1, last=1)
        self.flow_eighth = FlowLevel(48, 32, 48, radius=2, depth=1)
        self.flow_coarse = FlowLevel(64, 48, 64, radius=3, depth=2)
        embed = 32
        self.embed_target = nn.Conv2d(48, embed, 3, padding=1)
        self.embed_source = nn.Conv2d(48 + 2, embed, 3, padding=1)
        self.mix = nn.Conv2d(embed, 16, 3, padding=1)
        self.trust = nn.Conv2d(embed, 1, 1)
        self.enter = nn.Conv2d(48 + 48 + 2 * embed, channels, 3, padding=1)
        self.down = nn.Conv2d(channels, deep, 3, stride=2, padding=1)
        self.deep = nn.Sequential(*[ResidualBlock(deep) for _ in range(blocks)])
        self.up = nn.Conv2d(deep, 4 * channels, 1)
        self.leave = ResidualBlock(channels)
        self.residual = nn.Conv2d(channels, 48, 3, padding=1)
        silence(self.residual)
        silence(self.mix, bias=-3.0)
        silence(self.trust)

    def restore(
        self, target: Tensor, sources: Tensor, start: Alignment | None = None, recorded: Tensor | None = None
    ) -> Restoration:
        """Restore `target` `[B, 3, H, W]` with chosen `sources` `[B, K, 3, H, W]` at this one scale.

        Args:
            start: the last alignment at half the size; it replaces the search for the flow at the coarse levels.
            recorded: where `target` was restored at half its size already, the frame as it was, `[B, 3, H, W]`.
        """
        batch, _, height, width = target.shape
        levels = self.levels(height, width, begun=start is not None)
        here = split(target - 0.5, GRID)
        channels = to_channels(here)
        sources = sources - 0.5
        there = to_channels(split(sources.flatten(0, 1), GRID))
        described = self._describe(torch.cat((channels, there)), levels)
        alignments = self._align([d[:batch] for d in described], [d[batch:] for d in described], start)
        before = None if recorded is None else split(recorded - 0.5, GRID)
        return Restoration(self._restore(here, channels, sources.unbind(1), alignments[-1], before) + 0.5, alignments)

    def align(self, target: Tensor, source: Tensor) -> Alignment:
        """Flow from `target` to `source`, `[B, 3, H, W]` each; sides multiples of 8, at least 64."""
        levels = self.levels(*target.shape[-2:])
        here, there = (self._describe(to_channels(split(x - 0.5, GRID)), levels) for x in (target, source))
        return self._align(here, there)[-1]

    @staticmethod
    def levels(height: int, width: int, begun: bool = False) -> int:
        """Levels of the flow's pyramid: its coarsest is at 1/32, or 1/64 where the short side is 512 or more.

        Args:
            begun: whether a smaller scale has found the flow; then only the finest are gone through.
        """
        if begun:
            return FINE_LEVELS
        return 5 if min(height, width) >= 512 else 4

    def _describe(self, channels: Tensor, levels: int) -> list[Tensor]:
        """What the features of frames are compared by, fine to coarse."""
        features = self.encoder(channels, levels)
        return [self._step(level).describe(x) for level, x in enumerate(features)]

    def _step(self, level: int) -> FlowLevel:
        return (self.flow_quarter, self.flow_eighth)[level] if level < 2 else self.flow_coarse

    def _align(self, target: list[Tensor], source: list[Tensor], start: Alignment | None = None) -> list[Alignment]:
        """Coarse-to-fine flow from each of B targets to its sources, N = B·K, from `start` or from nothing."""
        alignment = start
        found = []
        for level in reversed(range(len(source))):
            size = source[level].shape[-2:]
            alignment = unknown(source[level]) if alignment is None else at_size(alignment, size)
            alignment = self._step(level)(target[level], source[level], alignment)
            found.append(alignment)
        return found

    def _restore(
        self, here: Tensor, channels: Tensor, sources: Sequence[Tensor], alignment: Alignment, recorded: Tensor | None
    ) -> Tensor:
        """Restore centred targets from their aligned sources.

        Args:
            here: phases of the targets `[B, h, 3, w, 16]`.
            channels: the same as the channels of a convolution `[B, 48, h, w]`.
            sources: K pictures `[B, 3, H, W]`.
            alignment: N = B·K.
            recorded: phases of the targets before a smaller scale changed them.

        Returns:
            `[B, 3, H, W]`.
        """
        guide = self.embed_target(channels)
        doubt = torch.cat((alignment.log_scale, inside_picture(alignment.flow)), dim=1)
        each = (part.unflatten(0, (-1, len(sources))).unbind(1) for part in (alignment.flow, doubt))
        advice = [
            self._consult(warp_phases(source, flow, GRID), certainty, guide)
            for source, flow, certainty in zip(sources, *each, strict=True)
        ]
        if recorded is not None:
            # The frame as it was is one more source, certainly aligned: what the smaller scale spoilt can be undone.
            certain = numbers((CERTAIN, 1.0), doubt.device).view(1, 2, 1, 1).expand_as(doubt[: len(here)])
            advice.append(self._consult(recorded, certain, guide))
        mean = mixed(here, advice)
        x = convolved(self.enter, channels, to_channels(mean), *summary(advice))
        x = F.leaky_relu(x, 0.1, inplace=True)
        deep = self.deep(F.leaky_relu(self.down(x), 0.1, inplace=True))
        x = self.leave(F.pixel_shuffle(self.up(deep), 2).add_(x))
        residual = self.residual(F.leaky_relu(x, 0.1))
        return join(mean.add_(from_channels(residual, GRID**2)), GRID)

    def _consult(self, picture: Tensor, doubt: Tensor, guide: Tensor) -> Advice:
        """Compare the phases of an aligned source with the target: `doubt` `[B, 2, h, w]`, `guide` `[B, E, h, w]`."""
        channels = to_channels(picture)
        embedded = convolved(self.embed_source, channels, for_convolution(doubt)).add_(guide)
        embedded = F.leaky_relu(embedded, 0.1, inplace=True)
        return Advice(picture, embedded, from_channels(self.mix(embedded), GRID**2), self.trust(embedded).float())
