"""RVRT's small parts: convolutions within frames and the two-layer perceptron, on clips with channels last."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.1
"""Of every leaky ReLU."""


class FrameConv(nn.Module):
    """A convolution within each frame of a clip `[B, T, H, W, C]`, its weight kept as the official Conv3d's."""

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int = 3, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels_out, channels_in // groups, 1, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        self.stride, self.groups = stride, groups

    def forward(self, x: Tensor) -> Tensor:
        frames = x.flatten(0, 1).permute(0, 3, 1, 2)
        padding = self.weight.shape[-1] // 2
        frames = F.conv2d(frames, self.weight.squeeze(2), self.bias, self.stride, padding, groups=self.groups)
        return frames.permute(0, 2, 3, 1).unflatten(0, x.shape[:2])


class MLP(nn.Module):
    """Linear, exact GELU, linear, over the last axis."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))
