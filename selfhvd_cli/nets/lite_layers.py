"""Layers for Lite: residual blocks, convolutions of several parts, and the encoder whose features are matched."""

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
        return self.second(F.leaky_relu(self.first(x), 0.1, inplace=True)).add_(x)


def convolved(layer: nn.Conv2d, *parts: Tensor) -> Tensor:
    """What `layer` makes of the parts `[N, C, h, w]` side by side in the channels, as a sum of convolutions.

    To write large parts side by side takes longer than the sum, and is the largest block of memory that Lite knew.
    """
    weights = layer.weight.split([part.shape[1] for part in parts], dim=1)
    result = F.conv2d(parts[0], weights[0], layer.bias, padding=layer.padding)
    for part, weight in zip(parts[1:], weights[1:], strict=True):
        result.add_(F.conv2d(part, weight, padding=layer.padding))
    return result


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
