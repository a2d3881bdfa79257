"""SEA-RAFT's encoder: a truncated ResNet without max pooling, to 1/8 of the size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

STAGE_CHANNELS = (64, 128, 256)
STAGE_STRIDES = (1, 2, 2)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; the branch has its own ReLU before the sum.

    The official block names the shortcut's normalisation twice, `bn3` and `downsample.1`, so published files hold
    both; files that keep shared tensors once hold either.
    """

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or in_channels != channels:
            self.bn3 = nn.BatchNorm2d(channels)
            self.downsample = nn.Sequential(nn.Conv2d(in_channels, channels, 1, stride), self.bn3)
            self.register_load_state_dict_pre_hook(_fill_in_shared_names)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu((x if self.downsample is None else self.downsample(x)) + y)


def _fill_in_shared_names(module: nn.Module, state_dict: dict[str, Any], prefix: str, *_: object) -> None:
    for name, _tensor in module.bn3.state_dict().items():  # type: ignore[union-attr]
        one, other = f"{prefix}bn3.{name}", f"{prefix}downsample.1.{name}"
        for missing, present in ((one, other), (other, one)):
            if missing not in state_dict and present in state_dict:
                state_dict[missing] = state_dict[present]


class Encoder(nn.Module):
    """`[B, in_channels, H, W]` -> `[B, 256, H/8, W/8]`; `blocks` residual blocks in each of the three stages."""

    def __init__(self, in_channels: int, blocks: Sequence[int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, STAGE_CHANNELS[0], 7, stride=2, padding=3)
        self.bn1 = nn.BatchNorm2d(STAGE_CHANNELS[0])
        before = (STAGE_CHANNELS[0], *STAGE_CHANNELS[:-1])
        self.layer1, self.layer2, self.layer3 = (
            nn.Sequential(
                *(
                    ResidualBlock(channels_in if i == 0 else channels, channels, stride if i == 0 else 1)
                    for i in range(count)
                )
            )
            for channels_in, channels, stride, count in zip(
                before, STAGE_CHANNELS, STAGE_STRIDES, blocks, strict=True
            )
        )
        self.final_conv = nn.Conv2d(STAGE_CHANNELS[-1], 256, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        return self.final_conv(self.layer3(self.layer2(self.layer1(x))))
