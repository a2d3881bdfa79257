"""SPyNet: optical flow by a pyramid of small residual networks, as BasicVSR++ and RVRT carry it inside.

Ranjan and Black, "Optical Flow Estimation using a Spatial Pyramid Network", CVPR 2017.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfhvd_cli.ops.warp import warp

CHANNELS = (8, 32, 64, 32, 16, 2)
"""Channels through one level: reference 3 + warped support 3 + flow 2 in, a correction of the flow out."""

LEVELS = 6

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""Mean and deviation of R, G, B over ImageNet, in which the pictures are expressed."""


class WrappedConv(nn.Module):
    """A convolution under the name `conv`, as BasicVSR++'s published keys have it; ReLU except after the last."""

    def __init__(self, channels_in: int, channels_out: int, activates: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 7, padding=3)
        self.activates = activates

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return F.relu(x) if self.activates else x


class Level(nn.Module):
    """Five 7x7 convolutions with ReLU between them: the correction of the flow at one scale."""

    def __init__(self, wrapped: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        pairs = list(pairwise(CHANNELS))
        for i, (channels_in, channels_out) in enumerate(pairs):
            last = i == len(pairs) - 1
            if wrapped:
                layers.append(WrappedConv(channels_in, channels_out, activates=not last))
            else:
                layers.append(nn.Conv2d(channels_in, channels_out, 7, padding=3))
                layers += [] if last else [nn.ReLU()]
        self.basic_module = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.basic_module(x)


class SPyNet(nn.Module):
    """Flow from one picture to another at their own size.

    Args:
        wrapped: keys as in BasicVSR++ (`basic_module.L.basic_module.K.conv`); else as in RVRT, where
            convolutions and ReLUs are numbered together (`basic_module.L.basic_module.{0,2,4,6,8}`).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, wrapped: bool = True) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1))
        self.basic_module = nn.ModuleList(Level(wrapped) for _ in range(LEVELS))

    def forward(self, reference: Tensor, support: Tensor) -> Tensor:
        """Where each pixel of `reference` lies in `support`.

        Args:
            reference, support: `[B, 3, H, W]`, RGB in [0, 1], any size.

        Returns:
            `[B, 2, H, W]`, float32, (dx, dy) in pixels: `warp(support, flow)` is aligned with `reference`.
        """
        height, width = reference.shape[-2:]
        # The coarsest of six scales is 1/32; sizes between multiples of 32 are stretched, not padded.
        padded = (-(-height // 32) * 32, -(-width // 32) * 32)
        flow = self._pyramid_flow(self._stretch(reference, padded), self._stretch(support, padded))
        flow = self._stretch(flow, (height, width))
        return flow * flow.new_tensor([width / padded[1], height / padded[0]]).view(1, 2, 1, 1)

    def _pyramid_flow(self, reference: Tensor, support: Tensor) -> Tensor:
        references = [(reference - self.mean) / self.std]
        supports = [(support - self.mean) / self.std]
        for _ in range(LEVELS - 1):
            references.insert(0, F.avg_pool2d(references[0], 2))
            supports.insert(0, F.avg_pool2d(supports[0], 2))
        flow = torch.zeros_like(references[0][:, :2], dtype=torch.float32)
        for level, ref, sup in zip(self.basic_module, references, supports, strict=True):
            if flow.shape[-1] != ref.shape[-1]:
                flow = F.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=True) * 2
            # The sum stays float32 under autocast: a bfloat16 position is good to 1/256 of itself only.
            flow = flow + level(torch.cat((ref, warp(sup, flow), flow), dim=1)).float()
        return flow

    @staticmethod
    def _stretch(x: Tensor, size: tuple[int, int]) -> Tensor:
        if tuple(x.shape[-2:]) == size:
            return x
        return F.interpolate(x, size=size, mode="bilinear", align_corners=False)
