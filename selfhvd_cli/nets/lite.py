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

from selfhvd_cli.ops.correlation import correlate, displacements
from selfhvd_cli.ops.sharpness import sharpness
from selfhvd_cli.ops.source_frames import REACH, choose_sources
from selfhvd_cli.ops.unshuffle import for_convolution, unshuffle
from selfhvd_cli.ops.warp import warp

SMALLEST_SCALE = 250
"""Short side in pixels down to which a frame is halved: a blur of 30 pixels in 1080p is one of 8 there. At 640×480
no halving is better than one (4.1 against 3.5 dB on the blurry half of synthetic clips)."""


SHARP_SHARE = 0.9
"""Of the sharpest frame's score: a frame that has as much has no long blur, and needs no smaller scale."""

CERTAIN = -6.0
"""Smallest log scale: an endpoint error of a hundredth of a pixel of the full frame."""


class Alignment(NamedTuple):
    """Flow from targets to sources, as the network estimates it."""

    flow: Tensor
    """`[N, 2, H/4, W/4]`, (dx, dy) in pixels of that grid: multiply by 4 for pixels of the frame."""

    log_scale: Tensor
    """`[N, 1, H/4, W/4]`: log of the expected endpoint error in pixels of that grid (the b of a Laplace law)."""


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
        """`levels` feature maps of `[N, 3, H, W]`, fine to coarse."""
        x = for_convolution(unshuffle(frame - 0.5, 4))
        features = [F.leaky_relu(self.quarter(x), 0.1)]
        for stage in (self.eighth, self.sixteenth, *[self.down] * (levels - 3)):
            x = features[-1]
            for layer in stage:
                x = F.leaky_relu(layer(x), 0.1)
            features.append(x)
        return features


class FlowLevel(nn.Module):
    """One step of the coarse-to-fine search: matches within `radius` of the flow so far, then corrects it.

    The first guess needs no training: the mean displacement under a softmax of the correlation.
    """

    def __init__(self, channels: int, match: int, width: int, radius: int, depth: int) -> None:
        super().__init__()
        self.radius = radius
        self.match = nn.Conv2d(channels, match, 1, bias=False)
        self.log_temperature = nn.Parameter(torch.tensor(2.5))
        self.gain = nn.Parameter(torch.tensor(1.0))
        inputs = (2 * radius + 1) ** 2 + 2 * match + 2 + 2 + 1
        self.first = nn.Conv2d(inputs, width, 3, padding=1)
        self.middle = nn.ModuleList([nn.Conv2d(width, width, 3, padding=1) for _ in range(depth)])
        self.last = nn.Conv2d(width, 3, 3, padding=1)
        _silence(self.last)

    def forward(self, target: Tensor, source: Tensor, start: Alignment) -> Alignment:
        """Refine `start`, which is on this level's grid; features are `[N, C, h, w]`."""
        anchor = _unit(self.match(target))
        moved = warp(_unit(self.match(source)), start.flow)
        cost, shift = self._search(anchor, moved)
        inputs = for_convolution(cost, anchor, moved, shift, _squash(start.flow), start.log_scale)
        x = F.leaky_relu(self.first(inputs), 0.1)
        for layer in self.middle:
            x = F.leaky_relu(layer(x), 0.1)
        change = self.last(x).float()
        flow = start.flow + self.gain * shift + change[:, :2]
        return Alignment(flow, (start.log_scale + change[:, 2:]).clamp(CERTAIN, 4.0))

    def _search(self, anchor: Tensor, moved: Tensor) -> tuple[Tensor, Tensor]:
        """Correlation `[N, (2r+1)², h, w]` and its soft argmax `[N, 2, h, w]`."""
        cost = correlate(anchor, moved, self.radius)
        weight = torch.softmax(cost.float() * self.log_temperature.exp(), dim=1)
        displacement = weight.new_tensor(displacements(self.radius))
        return cost, torch.einsum("nkhw,kc->nchw", weight, displacement)


class _Pyramid:
    """A clip at several sizes, each frame made when it is first needed, and the sources' features."""

    def __init__(self, clip: Tensor) -> None:
        self.features: dict[tuple[int, int], list[Tensor]] = {}
        self._frames: dict[tuple[int, int], Tensor] = {}
        self._clip = clip

    def frame(self, number: int, scale: int) -> Tensor:
        """`[1, 3, h, w]`: frame `number`, halved `scale` times."""
        if scale == 0:
            return self._clip[number : number + 1]
        key = number, scale
        if key not in self._frames:
            self._frames[key] = F.avg_pool2d(self.frame(number, scale - 1), 2)
        return self._frames[key]


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
        self.embed_source = nn.Conv2d(48 + 48 + 2, embed, 3, padding=1)
        self.mix = nn.Conv2d(embed, 16 + 1, 3, padding=1)
        self.enter = nn.Conv2d(48 + 48 + 2 * embed, channels, 3, padding=1)
        self.down = nn.Conv2d(channels, deep, 3, stride=2, padding=1)
        self.deep = nn.Sequential(*[ResidualBlock(deep) for _ in range(blocks)])
        self.up = nn.Conv2d(deep, 4 * channels, 1)
        self.leave = ResidualBlock(channels)
        self.residual = nn.Conv2d(channels, 48, 3, padding=1)
        _silence(self.residual)
        _silence(self.mix, bias=-3.0)

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
            scores = sharpness(F.avg_pool2d(clip.detach(), 2)).tolist()
            pyramid = _Pyramid(clip)
            halvings = self.scales(*clip.shape[-2:])
            for target in wanted:
                sharpest = max(scores[max(0, target - REACH) : target + REACH + 1])
                needed = 0 if scores[target] >= SHARP_SHARE * sharpest else halvings
                outputs.append(self._cascade(pyramid, target, choose_sources(scores, target, self.sources), needed))
        return torch.cat(outputs).unflatten(0, (frames.shape[0], len(wanted)))

    def restore(
        self, target: Tensor, sources: Tensor, start: Alignment | None = None, recorded: Tensor | None = None
    ) -> Restoration:
        """Restore `target` `[B, 3, H, W]` with chosen `sources` `[B, K, 3, H, W]` at this one scale.

        Args:
            start: the last alignment of `restore_half`; it replaces the search for the flow at the coarse levels.
            recorded: where `target` was restored at half its size already, the frame as it was, `[B, 3, H, W]`.
        """
        levels = self.levels(*target.shape[-2:]) if start is None else 2
        everything = self.encoder(torch.cat((target, sources.flatten(0, 1))), levels)
        batch = target.shape[0]
        here, there = [f[:batch] for f in everything], [f[batch:] for f in everything]
        return self._restore(target, sources, here, there, start, recorded)

    def restore_half(self, target: Tensor, sources: Tensor) -> Restoration:
        """`restore` of the same pictures at half their size."""
        batch, count = sources.shape[:2]
        around = F.avg_pool2d(sources.flatten(0, 1), 2).unflatten(0, (batch, count))
        return self.restore(F.avg_pool2d(target, 2), around)

    def align(self, target: Tensor, source: Tensor) -> Alignment:
        """Flow from `target` to `source`, `[B, 3, H, W]` each; sides multiples of 8, at least 64."""
        levels = self.levels(*target.shape[-2:])
        return self._align(self.encoder(target, levels), self.encoder(source, levels), 1)[-1]

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

    def _cascade(self, pyramid: _Pyramid, target: int, chosen: tuple[int, ...], halvings: int) -> Tensor:
        """Frame `target` `[1, 3, H, W]`, restored from the scale of `halvings` up."""
        change: Tensor | None = None
        before: Tensor | None = None
        start: Alignment | None = None
        for scale in reversed(range(halvings + 1)):
            frame = pyramid.frame(target, scale)
            seen = frame if change is None or before is None else with_change(frame, before, change)
            height, width = frame.shape[-2:]
            padded = _padded(seen)
            levels = self.levels(*padded.shape[-2:]) if start is None else 2
            around = [self._features(pyramid, j, scale, levels) for j in chosen]
            there = [torch.cat(level) for level in zip(*around, strict=True)]
            sources = torch.cat([_padded(pyramid.frame(j, scale)) for j in chosen]).unsqueeze(0)
            recorded = None if change is None else _padded(frame)
            result = self._restore(padded, sources, self.encoder(padded, levels), there, start, recorded)
            change, before, start = result.frames[..., :height, :width], frame, result.alignments[-1]
        assert change is not None
        return change

    def _features(self, pyramid: _Pyramid, frame: int, scale: int, levels: int) -> list[Tensor]:
        """Encoded source, kept for the other targets of the window."""
        key = frame, scale
        # A target that starts at this scale needs more levels than one that a smaller scale has prepared.
        if len(pyramid.features.get(key, ())) < levels:
            pyramid.features[key] = self.encoder(_padded(pyramid.frame(frame, scale)), levels)
        return pyramid.features[key][:levels]

    def _align(
        self, target: list[Tensor], source: list[Tensor], count: int, start: Alignment | None = None
    ) -> list[Alignment]:
        """Coarse-to-fine flow from each target to its `count` sources, from `start` or from nothing."""
        alignment = start
        found = []
        for level in reversed(range(len(source))):
            size = source[level].shape[-2:]
            alignment = _unknown(source[level]) if alignment is None else _at_size(alignment, size)
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
        batch, count = sources.shape[:2]
        height, width = target.shape[-2:]
        alignments = self._align(target_features, source_features, count, start)
        final = alignments[-1]
        quarter = 4.0 * final.flow.contiguous()
        flow = F.interpolate(quarter, size=(height, width), mode="bilinear", align_corners=False)
        aligned = warp(sources.flatten(0, 1), flow)
        log_scale, inside = final.log_scale, _inside(final.flow)
        if recorded is not None:
            # The frame as it was is one more source, certainly aligned: what the smaller scale spoilt can be undone.
            aligned = _beside(aligned, recorded, count)
            log_scale = _beside(log_scale, torch.full_like(log_scale[:batch], CERTAIN), count)
            inside = _beside(inside, torch.ones_like(inside[:batch]), count)
            count += 1
        here, there = unshuffle(target - 0.5, 4), unshuffle(aligned - 0.5, 4)
        error = there - here.repeat_interleave(count, 0)
        guide = self.embed_target(for_convolution(here)).repeat_interleave(count, 0)
        embedded = self.embed_source(for_convolution(there, error, log_scale, inside))
        embedded = F.leaky_relu(embedded + guide, 0.1)
        mixing = self.mix(embedded).float()
        logits = F.pixel_shuffle(mixing[:, :16], 4).view(batch, count, 1, height, width)
        stay = torch.zeros_like(logits[:, :1])
        weights = torch.softmax(torch.cat((stay, logits), dim=1), dim=1)
        aligned = aligned.view(batch, count, 3, height, width)
        mixed = weights[:, 0] * target + (weights[:, 1:] * aligned).sum(1)
        trust = torch.softmax(mixing[:, 16:].view(batch, count, 1, *mixing.shape[-2:]), dim=1)
        grouped = embedded.view(batch, count, *embedded.shape[1:])
        summary = torch.cat(((grouped * trust).sum(1), grouped.amax(1)), dim=1)
        x = F.leaky_relu(self.enter(for_convolution(here, unshuffle(mixed - 0.5, 4), summary)), 0.1)
        deep = self.deep(F.leaky_relu(self.down(x), 0.1))
        x = self.leave(x + F.pixel_shuffle(self.up(deep), 2))
        residual = self.residual(F.leaky_relu(x, 0.1)).float()
        return Restoration(mixed + F.pixel_shuffle(residual, 4), alignments)


def _silence(layer: nn.Conv2d, bias: float = 0.0) -> None:
    """Make a layer answer `bias` to everything until it has learned better."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.constant_(layer.bias, bias)


def _unit(features: Tensor) -> Tensor:
    """Features without their mean over the picture, of length 1 at each pixel: correlation is then a cosine."""
    centred = features - features.mean(dim=(2, 3), keepdim=True)
    return centred * torch.rsqrt(centred.float().square().sum(1, keepdim=True) + 1e-4).to(centred.dtype)


def _squash(flow: Tensor) -> Tensor:
    """Flow for a convolution to read: its size matters little beyond some pixels."""
    return torch.asinh(flow * 0.25)


def _unknown(features: Tensor) -> Alignment:
    """No motion, one pixel off: where the search begins."""
    return Alignment(
        torch.zeros_like(features[:, :2], dtype=torch.float32), torch.zeros_like(features[:, :1], dtype=torch.float32)
    )


def _at_size(alignment: Alignment, size: torch.Size) -> Alignment:
    """The alignment on another grid of the same picture."""
    height, width = size
    if alignment.flow.shape[-2:] == size:
        return alignment
    both = torch.cat((alignment.flow, alignment.log_scale), dim=1).contiguous()
    both = F.interpolate(both, size=(height, width), mode="bilinear", align_corners=False)
    flow, log_scale = both[:, :2], both[:, 2:]
    scale = flow.new_tensor([width / alignment.flow.shape[-1], height / alignment.flow.shape[-2]])
    return Alignment(flow * scale.view(1, 2, 1, 1), log_scale)


def with_change(frame: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """`frame`, larger, plus what became of a small picture of it, `before`; in [0, 1]."""
    change = F.interpolate((after - before).float(), size=frame.shape[-2:], mode="bicubic", align_corners=False)
    return (frame + change).clamp(0.0, 1.0)


def _padded(frame: Tensor) -> Tensor:
    """Edges repeated to the next multiple of 8 and to 64 pixels, which the pyramid needs."""
    height, width = frame.shape[-2:]
    down, right = max(64, -(-height // 8) * 8) - height, max(64, -(-width // 8) * 8) - width
    return F.pad(frame, (0, right, 0, down), mode="replicate") if down or right else frame


def _beside(several: Tensor, one: Tensor, count: int) -> Tensor:
    """`[B·count, …]` and `[B, …]` as `[B·(count + 1), …]`."""
    return torch.cat((several.unflatten(0, (-1, count)), one.unsqueeze(1)), dim=1).flatten(0, 1)


def _inside(flow: Tensor) -> Tensor:
    """`[N, 1, h, w]`: 1 where the flow stays within the picture."""
    height, width = flow.shape[-2:]
    x = torch.arange(width, device=flow.device) + flow[:, 0]
    y = (torch.arange(height, device=flow.device)).unsqueeze(1) + flow[:, 1]
    return ((x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)).unsqueeze(1).to(flow.dtype)
