"""Lite, the embedded network: aligns the sharp moments around a frame with it and lets them restore it.

Made for hand shake, where the blur of a frame is missing from other frames close by. For every frame to restore
(the target) it takes the few frames of the window that promise most (the sources, `ops.source_frames`), finds the
flow to each with a small coarse-to-fine network trained on blurry pictures with the exact flow of synthesis, warps
the sources at full resolution, and mixes: each pixel of the result is a weighted mean of the target and the
aligned sources, plus a residual. All convolutions run at a quarter of the resolution and below.

The same weights work from a small picture up: what restoring a frame at half its size changes is added before it is
restored at full size. On a real night clip this was worth 3 dB, for a long blur is a short one in a small picture.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfhvd_cli.nets.lite_alignment import (
    CERTAIN,
    Alignment,
    FlowLevel,
    at_size,
    inside_picture,
    silence,
    unknown,
)
from selfhvd_cli.nets.lite_pictures import Pyramid, beside, padded, with_change
from selfhvd_cli.ops.sharpness import sharpness
from selfhvd_cli.ops.source_frames import REACH, choose_sources
from selfhvd_cli.ops.unshuffle import for_convolution, unshuffle
from selfhvd_cli.ops.warp import warp

SMALLEST_SCALE = 250
"""Short side in pixels down to which a frame is halved: a blur of 30 pixels in 1080p is one of 8 there. At 640×480
no halving is better than one (4.1 against 3.5 dB on the blurry half of synthetic clips)."""

SHARP_SHARE = 0.9
"""Of the sharpest frame's score: a frame that has as much has no long blur, and needs no smaller scale."""

FINE_LEVELS = 1
"""Levels of the flow that are refined where a smaller scale has found it: its last is this scale's second."""


class Restoration(NamedTuple):
    """What `Lite.restore` gives."""

    frames: Tensor
    """`[B, 3, H, W]`."""

    alignments: list[Alignment]
    """One a level, coarse to fine, N = B·K; training supervises each."""


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions around a skip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.leaky_relu(self.first(x), 0.1))


class Encoder(nn.Module):
    """Features of one frame at 1/4, 1/8, 1/16, … of its size; from 1/16 on the same weights serve every level."""

    def __init__(self, quarter: int, eighth: int, coarse: int) -> None:
        super().__init__()
        self.quarter = nn.Conv2d(48, quarter, 3, padding=1)
        self.eighth = nn.ModuleList(
            [nn.Conv2d(quarter, eighth, 3, stride=2, padding=1), nn.Conv2d(eighth, eighth, 3, padding=1)]
        )
        self.sixteenth = nn.ModuleList(
            [nn.Conv2d(eighth, coarse, 3, stride=2, padding=1), nn.Conv2d(coarse, coarse, 3, padding=1)]
        )
        self.down = nn.ModuleList(
            [nn.Conv2d(coarse, coarse, 3, stride=2, padding=1), nn.Conv2d(coarse, coarse, 3, padding=1)]
        )

    def forward(self, frame: Tensor, levels: int) -> list[Tensor]:
        """`levels` feature maps of centred frames `[N, 3, H, W]`, fine to coarse."""
        x = for_convolution(unshuffle(frame, 4))
        features = [F.leaky_relu(self.quarter(x), 0.1)]
        for stage in (self.eighth, self.sixteenth, *[self.down] * (levels - 3)):
            x = features[-1]
            for layer in stage:
                x = F.leaky_relu(layer(x), 0.1)
            features.append(x)
        return features


class Lite(nn.Module):
    """The embedded network.

    Args:
        sources: frames that help each target.
        channels: width at a quarter of the resolution.
        deep: width at an eighth.
        blocks: residual blocks at an eighth.
    """

    def __init__(self, sources: int = 3, channels: int = 48, deep: int = 96, blocks: int = 3) -> None:
        super().__init__()
        self.sources = sources
        self.encoder = Encoder(32, 48, 64)
        self.flow_quarter = FlowLevel(32, 16, 24, radius=1, depth=1)
        self.flow_eighth = FlowLevel(48, 32, 48, radius=2, depth=1)
        self.flow_coarse = FlowLevel(64, 48, 64, radius=3, depth=2)
        embed = 24
        self.embed_target = nn.Conv2d(48, embed, 3, padding=1)
        self.embed_source = nn.Conv2d(48 + 2, embed, 3, padding=1)
        self.mix = nn.Conv2d(embed, 16 + 1, 3, padding=1)
        self.enter = nn.Conv2d(48 + 48 + 2 * embed, channels, 3, padding=1)
        self.down = nn.Conv2d(channels, deep, 3, stride=2, padding=1)
        self.deep = nn.Sequential(*[ResidualBlock(deep) for _ in range(blocks)])
        self.up = nn.Conv2d(deep, 4 * channels, 1)
        self.leave = ResidualBlock(channels)
        self.residual = nn.Conv2d(channels, 48, 3, padding=1)
        silence(self.residual)
        silence(self.mix, bias=-3.0)

    def forward(self, frames: Tensor, keep: slice | None = None) -> Tensor:
        """Restore the frames of `keep` (all by default) with the help of all.

        Args:
            frames: `[B, T, 3, H, W]`, RGB in [0, 1]; H and W at least 64.
            keep: which of the T frames are wanted.

        Returns:
            `[B, K, 3, H, W]`, unclamped.
        """
        wanted = range(frames.shape[1])[keep or slice(None)]
        outputs = []
        for clip in frames:
            half = F.avg_pool2d(clip, 2)
            scores = sharpness(half.detach()).tolist()
            pyramid = Pyramid(clip, half)
            halvings = self.scales(*clip.shape[-2:])
            for target in wanted:
                sharpest = max(scores[max(0, target - REACH) : target + REACH + 1])
                needed = 0 if scores[target] >= SHARP_SHARE * sharpest else halvings
                chosen = choose_sources(scores, target, self.sources)
                outputs.append(self._cascade(pyramid, target, chosen, needed) + 0.5)
        return torch.cat(outputs).unflatten(0, (frames.shape[0], len(wanted)))

    def restore(
        self, target: Tensor, sources: Tensor, start: Alignment | None = None, recorded: Tensor | None = None
    ) -> Restoration:
        """Restore `target` `[B, 3, H, W]` with chosen `sources` `[B, K, 3, H, W]` at this one scale.

        Args:
            start: the last alignment of `restore_half`; it replaces the search for the flow at the coarse levels.
            recorded: where `target` was restored at half its size already, the frame as it was, `[B, 3, H, W]`.
        """
        levels = self.levels(*target.shape[-2:]) if start is None else FINE_LEVELS
        target, sources = target - 0.5, sources - 0.5
        recorded = None if recorded is None else recorded - 0.5
        everything = self.encoder(torch.cat((target, sources.flatten(0, 1))), levels)
        batch = target.shape[0]
        here, there = [f[:batch] for f in everything], [f[batch:] for f in everything]
        result = self._restore(target, sources, here, there, start, recorded)
        return Restoration(result.frames + 0.5, result.alignments)

    def restore_half(self, target: Tensor, sources: Tensor) -> Restoration:
        """`restore` of the same pictures at half their size."""
        batch, count = sources.shape[:2]
        around = F.avg_pool2d(sources.flatten(0, 1), 2).unflatten(0, (batch, count))
        return self.restore(F.avg_pool2d(target, 2), around)

    def align(self, target: Tensor, source: Tensor) -> Alignment:
        """Flow from `target` to `source`, `[B, 3, H, W]` each; sides multiples of 8, at least 64."""
        levels = self.levels(*target.shape[-2:])
        return self._align(self.encoder(target - 0.5, levels), self.encoder(source - 0.5, levels), 1)[-1]

    @staticmethod
    def levels(height: int, width: int) -> int:
        """Levels of the flow's pyramid: its coarsest is at 1/32, or 1/64 where the short side is 512 or more."""
        return 5 if min(height, width) >= 512 else 4

    @staticmethod
    def scales(height: int, width: int) -> int:
        """How many times a frame is halved: long blur is short in a small picture, so that is restored first."""
        halvings = 0
        while min(height, width) >> (halvings + 1) >= SMALLEST_SCALE:
            halvings += 1
        return halvings

    def _cascade(self, pyramid: Pyramid, target: int, chosen: tuple[int, ...], halvings: int) -> Tensor:
        """Frame `target` `[1, 3, H, W]`, centred, restored from the scale of `halvings` up."""
        change: Tensor | None = None
        before: Tensor | None = None
        start: Alignment | None = None
        for scale in reversed(range(halvings + 1)):
            frame = pyramid.frame(target, scale)
            seen = frame if change is None or before is None else with_change(frame, before, change, -0.5)
            height, width = frame.shape[-2:]
            filled = padded(seen)
            levels = self.levels(*filled.shape[-2:]) if start is None else FINE_LEVELS
            around = [self._features(pyramid, j, scale, levels) for j in chosen]
            there = [torch.cat(level) for level in zip(*around, strict=True)]
            sources = torch.cat([padded(pyramid.frame(j, scale)) for j in chosen]).unsqueeze(0)
            recorded = None if change is None else padded(frame)
            result = self._restore(filled, sources, self.encoder(filled, levels), there, start, recorded)
            change, before, start = result.frames[..., :height, :width], frame, result.alignments[-1]
        assert change is not None
        return change

    def _features(self, pyramid: Pyramid, frame: int, scale: int, levels: int) -> list[Tensor]:
        """Encoded source, kept for the other targets of the window."""
        key = frame, scale
        # A target that starts at this scale needs more levels than one that a smaller scale has prepared.
        if len(pyramid.features.get(key, ())) < levels:
            pyramid.features[key] = self.encoder(padded(pyramid.frame(frame, scale)), levels)
        return pyramid.features[key][:levels]

    def _align(
        self, target: list[Tensor], source: list[Tensor], count: int, start: Alignment | None = None
    ) -> list[Alignment]:
        """Coarse-to-fine flow from each target to its `count` sources, from `start` or from nothing."""
        alignment = start
        found = []
        for level in reversed(range(len(source))):
            size = source[level].shape[-2:]
            alignment = unknown(source[level]) if alignment is None else at_size(alignment, size)
            step = (self.flow_quarter, self.flow_eighth)[level] if level < 2 else self.flow_coarse
            anchor = target[level].repeat_interleave(count, 0) if count > 1 else target[level]
            alignment = step(anchor, source[level], alignment)
            found.append(alignment)
        return found

    def _restore(
        self,
        target: Tensor,
        sources: Tensor,
        target_features: list[Tensor],
        source_features: list[Tensor],
        start: Alignment | None,
        recorded: Tensor | None,
    ) -> Restoration:
        """`restore` of centred pictures whose features are known."""
        batch, count = sources.shape[:2]
        alignments = self._align(target_features, source_features, count, start)
        final = alignments[-1]
        # Everything from here on happens in the layout of the convolutions, [N, 3·16, H/4, W/4].
        here = F.pixel_unshuffle(target, 4)
        flow = F.interpolate(4.0 * final.flow.contiguous(), size=target.shape[-2:], mode="bilinear")
        there = F.pixel_unshuffle(warp(sources.flatten(0, 1), flow), 4)
        log_scale, inside = final.log_scale, inside_picture(final.flow)
        if recorded is not None:
            # The frame as it was is one more source, certainly aligned: what the smaller scale spoilt can be undone.
            there = beside(there, F.pixel_unshuffle(recorded, 4), count)
            log_scale = beside(log_scale, torch.full_like(log_scale[:batch], CERTAIN), count)
            inside = beside(inside, torch.ones_like(inside[:batch]), count)
            count += 1
        guide = self.embed_target(for_convolution(here)).repeat_interleave(count, 0)
        embedded = self.embed_source(for_convolution(there, log_scale, inside))
        embedded = F.leaky_relu(embedded + guide, 0.1)
        mixed, summary = self._mix(here, there, embedded, count)
        x = F.leaky_relu(self.enter(for_convolution(here, mixed, summary)), 0.1)
        deep = self.deep(F.leaky_relu(self.down(x), 0.1))
        x = self.leave(x + F.pixel_shuffle(self.up(deep), 2))
        residual = self.residual(F.leaky_relu(x, 0.1)).float()
        return Restoration(F.pixel_shuffle(mixed + residual, 4), alignments)

    def _mix(self, here: Tensor, there: Tensor, embedded: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Weighted mean of target and sources `[B, 48, h, w]`, and what is known of the sources `[B, 2·E, h, w]`."""
        batch, _, height, width = here.shape
        mixing = self.mix(embedded).float()
        logits = mixing[:, :16].unflatten(0, (batch, count))
        weights = torch.softmax(torch.cat((torch.zeros_like(logits[:, :1]), logits), dim=1), dim=1).unsqueeze(2)
        pictures = there.view(batch, count, 3, 16, height, width)
        mixed = weights[:, 0] * here.view(batch, 3, 16, height, width)
        for source in range(count):
            mixed = torch.addcmul(mixed, weights[:, source + 1], pictures[:, source])
        trust = torch.softmax(mixing[:, 16:].unflatten(0, (batch, count)), dim=1).to(embedded.dtype)
        grouped = embedded.unflatten(0, (batch, count))
        mean, most = grouped[:, 0] * trust[:, 0], grouped[:, 0]
        for source in range(1, count):
            mean = torch.addcmul(mean, grouped[:, source], trust[:, source])
            most = torch.maximum(most, grouped[:, source])
        return mixed.flatten(1, 2), torch.cat((mean, most), dim=1)
