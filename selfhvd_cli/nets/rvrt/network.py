"""RVRT in its deblurring configuration: clips of two frames, propagated twice in each direction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfhvd_cli.nets.rvrt.alignment import GuidedAlignment
from selfhvd_cli.nets.rvrt.attention import ConvBlock
from selfhvd_cli.nets.rvrt.layers import SLOPE, FrameConv
from selfhvd_cli.nets.spynet import SPyNet
from selfhvd_cli.ops import checkpoint
from selfhvd_cli.ops.warp import warp

CLIP = 2
"""Frames that are restored together."""

CHANNELS = 192

BRANCHES = ("backward_1", "forward_1", "backward_2", "forward_2")
"""Propagation branches in the order in which they run; each reads all before it."""

FlowPair = tuple[Tensor, Tensor]
"""Flows `[B, 2, 2, h, w]` of a clip to the previous clip's frames of the same index and of the other."""

Result = TypeVar("Result")


class RVRT(nn.Module):
    """RVRT for deblurring (official tasks 004 DVD and 005 GoPro, which are built alike); keys as published.

    Features are `[B, 2, h, w, C]` a clip, h and w a quarter of the size. Nothing is remembered between calls. (The
    official module keeps a flag from the first palindromic clip it meets, and takes an odd number of frames for a
    single clip without a word.)

    Args:
        checkpoint_activations: recompute each step's activations for the gradient instead of keeping them.
    """

    float32_parts = ("spynet",)
    """Computed so under autocast, too."""

    def __init__(self, checkpoint_activations: bool = False) -> None:
        super().__init__()
        self.checkpoint_activations = checkpoint_activations
        self.spynet = SPyNet(wrapped=False)
        # Places 0 and 5 of the official sequence only move axes; 2 and 4 are the leaky ReLUs.
        self.feat_extract = nn.ModuleDict(
            {
                "1": FrameConv(3, CHANNELS, stride=2),
                "3": FrameConv(CHANNELS, CHANNELS, stride=2),
                "6": ConvBlock(CHANNELS, CHANNELS, conv_groups=1, frames=1),
            }
        )
        self.deform_align = nn.ModuleDict({name: GuidedAlignment(CHANNELS) for name in BRANCHES})
        self.backbone = nn.ModuleDict(
            {
                name: ConvBlock((2 + i) * CHANNELS, CHANNELS, conv_groups=3, frames=CLIP, count=2)
                for i, name in enumerate(BRANCHES)
            }
        )
        self.reconstruction = ConvBlock(5 * CHANNELS, CHANNELS, conv_groups=3, frames=1)
        self.conv_before_upsampler = nn.ModuleDict({"0": FrameConv(CHANNELS, 64, kernel=1)})
        self.upsampler = nn.ModuleDict({"0": FrameConv(64, 256), "5": FrameConv(64, 256), "10": FrameConv(64, 64)})
        self.conv_last = FrameConv(64, 3)

    def forward(self, frames: Tensor) -> Tensor:
        """Restore every frame of a clip.

        Args:
            frames: `[B, T, 3, H, W]`, RGB in [0, 1]; T even, H and W multiples of 4. The official module runs at
                132 and above.

        Returns:
            `[B, T, 3, H, W]`, the frames plus the network's correction, unclamped.

        Raises:
            ValueError: T is odd, or H or W is no multiple of 4.
        """
        if frames.shape[1] % CLIP or frames.shape[-2] % 4 or frames.shape[-1] % 4:
            raise ValueError(f"frames must be [B, 2k, 3, 4n, 4m], got {tuple(frames.shape)}")
        backward, forward = self.compute_flow(frames)
        clips = frames.split(CLIP, dim=1)
        # known[i]: everything computed of clip i, first its own features, then each branch's.
        known = [[self._call(self._extract, clip)] for clip in clips]
        refined: dict[str, list[FlowPair]] = {}
        for name in BRANCHES:
            direction, run = name.split("_")
            reverse = direction == "backward"
            if run == "1":
                flows = flows_between_clips(backward.flip(1) if reverse else forward)
            else:
                # The second run is guided by where the first one's attention looked.
                flows = refined[direction]
            refined[direction] = self._propagate(name, known[::-1] if reverse else known, flows, reverse)
        restored = [self._call(self._reconstruct, clip, *each) for clip, each in zip(clips, known, strict=True)]
        return torch.cat(restored, dim=1)

    def compute_flow(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Flow between neighbouring frames at 1/4 size.

        Returns:
            (backward, forward), `[B, T-1, 2, H/4, W/4]` each, (dx, dy) in pixels of the 1/4 size: backward[:, t] is
            where frame t's pixels lie in frame t+1, forward[:, t] where frame t+1's lie in frame t.
        """
        batch, count = frames.shape[:2]
        # A flow in half precision would be off by pixels, and the network is small.
        with torch.autocast(frames.device.type, enabled=False):
            small = F.interpolate(frames.float().flatten(0, 1), scale_factor=0.25, mode="bicubic")
            small = small.unflatten(0, (batch, count))
            earlier, later = small[:, :-1].flatten(0, 1), small[:, 1:].flatten(0, 1)
            backward = self.spynet(earlier, later).unflatten(0, (batch, count - 1))
            forward = self.spynet(later, earlier).unflatten(0, (batch, count - 1))
        return backward, forward

    def _extract(self, clip: Tensor) -> Tensor:
        x = clip.permute(0, 1, 3, 4, 2)
        x = F.leaky_relu(self.feat_extract["1"](x), SLOPE)
        x = F.leaky_relu(self.feat_extract["3"](x), SLOPE)
        return self.feat_extract["6"](x)

    def _propagate(
        self, name: str, known: Sequence[list[Tensor]], flows: Sequence[FlowPair], reverse: bool
    ) -> list[FlowPair]:
        """Carry a feature along the clips and append it to what is known of each.

        Args:
            known: of every clip, in the order of propagation; frames inside are always in the order of time.
            flows: of every clip but the first to the one before it, in the order of propagation, frames too.

        Returns:
            The flows as refined by the alignment.
        """
        turn = (lambda x: x.flip(1)) if reverse else (lambda x: x)
        feature = torch.zeros_like(known[0][0])
        refined: list[FlowPair] = []
        for i, clip in enumerate(known):
            if i > 0:
                # The newest finished branch; the clip before has this branch's feature behind it already.
                query, key = turn(clip[-1]), turn(known[i - 1][-2])
                feature, *pair = self._call(self.deform_align[name], query, key, feature, *flows[i - 1])
                refined.append((pair[0], pair[1]))
            feature = feature + self._call(self._refine, name, *map(turn, clip), feature)
            clip.append(turn(feature))
        return refined

    def _refine(self, name: str, *features: Tensor) -> Tensor:
        return self.backbone[name](torch.cat(features, dim=-1))

    def _reconstruct(self, clip: Tensor, *features: Tensor) -> Tensor:
        x = self.reconstruction(torch.cat(features, dim=-1))
        x = F.leaky_relu(self.conv_before_upsampler["0"](x), SLOPE)
        x = F.leaky_relu(_pixel_shuffle(self.upsampler["0"](x)), SLOPE)
        x = F.leaky_relu(_pixel_shuffle(self.upsampler["5"](x)), SLOPE)
        x = self.conv_last(self.upsampler["10"](x))
        return clip + x.permute(0, 1, 4, 2, 3)

    def _call(self, function: Callable[..., Result], *inputs: object) -> Result:
        return checkpoint.call(function, *inputs, recompute=self.checkpoint_activations)


def flows_between_clips(flows: Tensor) -> list[FlowPair]:
    """Flows from each clip's two frames to both frames of the clip before it, chained from those between neighbours.

    Args:
        flows: `[B, T-1, 2, h, w]`, in the order of propagation: entry t leads from frame t+1 to frame t.
    """
    pairs = []
    for first in range(CLIP, flows.shape[1] + 1, CLIP):
        # Frames p0 p1 of the clip before, c0 c1 of this one.
        p1_p0, c0_p1, c1_c0 = flows[:, first - 2], flows[:, first - 1], flows[:, first]
        c0_p0 = c0_p1 + warp(p1_p0, c0_p1, padding="zeros")
        c1_p1 = c1_c0 + warp(c0_p1, c1_c0, padding="zeros")
        c1_p0 = c1_c0 + warp(c0_p0, c1_c0, padding="zeros")
        pairs.append((torch.stack((c0_p0, c1_p1), dim=1), torch.stack((c0_p1, c1_p0), dim=1)))
    return pairs


def _pixel_shuffle(x: Tensor) -> Tensor:
    """`[B, T, H, W, 4 C]` -> `[B, T, 2 H, 2 W, C]`."""
    shuffled = F.pixel_shuffle(x.flatten(0, 1).permute(0, 3, 1, 2), 2)
    return shuffled.permute(0, 2, 3, 1).unflatten(0, x.shape[:2])
