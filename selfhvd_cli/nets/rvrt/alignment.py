"""RVRT's alignment of one clip to the next by deformable attention that optical flow guides."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from selfhvd_cli.nets.rvrt.layers import MLP, SLOPE, FrameConv
from selfhvd_cli.ops.deform_attention import deform_attention
from selfhvd_cli.ops.warp import warp

TAPS = 9
"""Samples per source frame and group: a 3x3 neighbourhood of where the flow points."""


class GuidedAlignment(nn.Module):
    """Features of the previous clip, moved onto the current one.

    Args:
        channels: of the features.
        width: channels of queries, keys and values inside.
        heads, groups: of the deformable attention.
        max_residue: largest distance, in pixels at 1/4 size, by which a sample can leave the flow.
    """

    def __init__(
        self, channels: int = 192, width: int = 384, heads: int = 12, groups: int = 12, max_residue: float = 10.0
    ) -> None:
        super().__init__()
        self.heads, self.groups, self.max_residue = heads, groups, max_residue
        hidden = 64
        layers: list[nn.Module] = [FrameConv(3 * channels + 4, hidden, kernel=1)]
        for _ in range(4):
            layers += [nn.LeakyReLU(SLOPE), FrameConv(hidden, hidden)]
        last = FrameConv(hidden, 2 * groups * TAPS * 2, kernel=1)
        # Training starts from the flow alone.
        nn.init.zeros_(last.weight)
        self.conv_offset = nn.Sequential(*layers, nn.LeakyReLU(SLOPE), last)
        # Place 0 of each official sequence only moves axes.
        self.proj_q = nn.ModuleDict({"1": nn.Linear(channels, width)})
        self.proj_k = nn.ModuleDict({"1": nn.Linear(channels, width)})
        self.proj_v = nn.ModuleDict({"1": nn.Linear(channels, width)})
        self.proj = nn.ModuleDict({"1": nn.Linear(width, channels)})
        self.mlp = nn.ModuleDict({"1": MLP(channels, 2 * channels)})

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, flow_same: Tensor, flow_other: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Align a clip of two frames.

        Args:
            query: `[B, 2, h, w, C]`, the current clip in a finished branch.
            key: the previous clip in that branch.
            value: the previous clip in the branch being computed, the feature that is moved.
            flow_same: `[B, 2, 2, h, w]`, from each current frame to the previous one of the same index.
            flow_other: the same to the previous frame of the other index.

        Returns:
            The aligned feature `[B, 2, h, w, C]` and the two flows as the attention's mean samples refine them.
        """
        same = _warp_clip(value, flow_same)
        other = _warp_clip(value.flip(1), flow_other)
        flows = torch.cat((flow_same, flow_other), dim=2).permute(0, 1, 3, 4, 2)
        residue = self.conv_offset(torch.cat((query, same, other, flows.to(query.dtype)), dim=-1)).float()
        residue = (self.max_residue * torch.tanh(residue)).unflatten(-1, (2, self.groups * TAPS, 2))
        guide = torch.stack((flow_same, flow_other), dim=2).permute(0, 1, 4, 5, 2, 3)
        offsets = residue + guide.flip(-1).unsqueeze(-2)

        attended = deform_attention(
            _channels_second(self.proj_q["1"](query)),
            _channels_second(torch.cat((self.proj_k["1"](key), self.proj_v["1"](value)), dim=-1)),
            _channels_second(offsets.flatten(4)),
            heads=self.heads,
            groups=self.groups,
        )
        aligned = self.proj["1"](attended.permute(0, 1, 3, 4, 2))
        aligned = aligned + self.mlp["1"](aligned)
        refined_same, refined_other = _channels_second(offsets.mean(-2).flip(-1).flatten(4)).chunk(2, dim=2)
        return aligned, refined_same, refined_other


def _channels_second(x: Tensor) -> Tensor:
    return x.permute(0, 1, 4, 2, 3)


def _warp_clip(clip: Tensor, flow: Tensor) -> Tensor:
    """Every frame of `[B, T, h, w, C]` warped by its flow `[B, T, 2, h, w]`; zeros from outside."""
    frames = _channels_second(clip).flatten(0, 1)
    warped = warp(frames, flow.flatten(0, 1), padding="zeros")
    return warped.permute(0, 2, 3, 1).unflatten(0, clip.shape[:2])
