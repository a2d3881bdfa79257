"""Layers for Lite: residual blocks, and the encoder whose features are matched."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions around a skip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.leaky_relu(self.first(x), 0.1, inplace=True))


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
        """`levels` feature maps, fine to coarse, of the channels `[N, 48, h, w]` of centred frames."""
        features = [F.leaky_relu(self.quarter(frame), 0.1, inplace=True)]
        for stage in (self.eighth, self.sixteenth, *[self.down] * (levels - 3))[: levels - 1]:
            x = features[-1]
            for layer in stage:
                x = F.leaky_relu(layer(x), 0.1, inplace=True)
            features.append(x)
        return features
