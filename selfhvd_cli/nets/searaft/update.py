"""SEA-RAFT's recurrent update: a motion encoder and two ConvNeXt-like refinements in place of RAFT's GRU."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MotionEncoder(nn.Module):
    """Correlation windows and the present flow -> `[B, channels, h, w]`, whose last two channels are the flow."""

    def __init__(self, correlation_channels: int, channels: int) -> None:
        super().__init__()
        self.convc1 = nn.Conv2d(correlation_channels, 2 * channels, 1)
        self.convc2 = nn.Conv2d(2 * channels, channels + channels // 2, 3, padding=1)
        self.convf1 = nn.Conv2d(2, channels, 7, padding=3)
        self.convf2 = nn.Conv2d(channels, channels // 2, 3, padding=1)
        self.conv = nn.Conv2d(2 * channels, channels - 2, 3, padding=1)

    def forward(self, flow: Tensor, correlation: Tensor) -> Tensor:
        matched = F.relu(self.convc2(F.relu(self.convc1(correlation))))
        moved = F.relu(self.convf2(F.relu(self.convf1(flow))))
        joined = F.relu(self.conv(torch.cat((matched, moved), dim=1)))
        return torch.cat((joined, flow.to(joined.dtype)), dim=1)


class Refinement(nn.Module):
    """A ConvNeXt block over `[state, context, motion]`, then a projection to the new state."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.pwconv1 = nn.Linear(channels, 4 * out_channels)
        self.pwconv2 = nn.Linear(4 * out_channels, channels)
        self.gamma = nn.Parameter(torch.full((channels,), 1e-6))
        self.final = nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        y = self.gamma * self.pwconv2(F.gelu(self.pwconv1(y)))
        return self.final(x + y.permute(0, 3, 1, 2))


class UpdateBlock(nn.Module):
    """One iteration: the state is replaced, not gated as in RAFT."""

    def __init__(self, correlation_channels: int, channels: int, refinements: int = 2) -> None:
        super().__init__()
        self.encoder = MotionEncoder(correlation_channels, channels)
        self.refine = nn.ModuleList(Refinement(3 * channels, channels) for _ in range(refinements))

    def forward(self, state: Tensor, context: Tensor, correlation: Tensor, flow: Tensor) -> Tensor:
        motion = self.encoder(flow, correlation)
        for block in self.refine:
            state = block(torch.cat((state, context, motion), dim=1))
        return state
