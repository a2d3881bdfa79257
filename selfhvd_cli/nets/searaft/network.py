"""SEA-RAFT as published for Spring: two images -> flow and the parameters of its error distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from selfhvd_cli.nets.searaft.encoder import Encoder
from selfhvd_cli.nets.searaft.update import UpdateBlock
from selfhvd_cli.ops.all_pairs import CorrelationPyramid, convex_upsample, positions_of
from selfhvd_cli.ops.padding import pad_size

MEDIUM = (3, 4, 6)
"""Residual blocks per stage of SEA-RAFT-M (ResNet-34)."""

SMALL = (2, 2, 2)
"""Residual blocks per stage of SEA-RAFT-S (ResNet-18)."""

LEVELS = 4
RADIUS = 4
CHANNELS = 128


@dataclass(frozen=True)
class Prediction:
    """Flow of one iteration, at the size of the images."""

    flow: Tensor
    """`[B, 2, H, W]`, (dx, dy) in pixels."""

    info: Tensor
    """`[B, 4, H, W]`: two mixture weights before the softmax, two log scales before clamping."""


class SeaRaft(nn.Module):
    """SEA-RAFT (arXiv 2405.14793; princeton-vl/SEA-RAFT, config/eval/spring-M.json and spring-S.json).

    Args:
        blocks: residual blocks per encoder stage, `MEDIUM` or `SMALL`.
        iterations: updates after the first, regressed flow (4 as published; "L" is `MEDIUM` with 12).
    """

    def __init__(self, blocks: Sequence[int] = MEDIUM, iterations: int = 4) -> None:
        super().__init__()
        self.iterations = iterations
        self.cnet = Encoder(6, blocks)
        self.init_conv = nn.Conv2d(2 * CHANNELS, 2 * CHANNELS, 3, padding=1)
        self.upsample_weight = nn.Sequential(
            nn.Conv2d(CHANNELS, 2 * CHANNELS, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(2 * CHANNELS, 9 * 8 * 8, 1),
        )
        self.flow_head = nn.Sequential(
            nn.Conv2d(CHANNELS, 2 * CHANNELS, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(2 * CHANNELS, 6, 3, padding=1),
        )
        self.fnet = Encoder(3, blocks)
        self.update_block = UpdateBlock(LEVELS * (2 * RADIUS + 1) ** 2, CHANNELS)

    def forward(self, image1: Tensor, image2: Tensor) -> Prediction:
        """Flow from `image1` to `image2`, both `[B, 3, H, W]`, RGB in [0, 1], of any size."""
        return self._predict(image1, image2, every=False)[-1]

    def predictions(self, image1: Tensor, image2: Tensor) -> list[Prediction]:
        """The regressed first flow and that of every iteration, as the loss of the paper wants them."""
        return self._predict(image1, image2, every=True)

    def _predict(self, image1: Tensor, image2: Tensor, every: bool) -> list[Prediction]:
        # The fourth correlation level needs 16 positions at 1/8 of the size.
        first, padding = pad_size(2.0 * image1 - 1.0, 8, min_size=128, where="around")
        second, _ = pad_size(2.0 * image2 - 1.0, 8, min_size=128, where="around")
        state, context = self.init_conv(self.cnet(torch.cat((first, second), dim=1))).split(CHANNELS, dim=1)
        features1, features2 = self.fnet(torch.cat((first, second))).chunk(2)
        correlation = CorrelationPyramid(features1, features2, LEVELS, RADIUS)

        flow, info = self.flow_head(state).float().split((2, 4), dim=1)
        base = positions_of(features1)
        coarse = [(state, flow, info)]
        for _ in range(self.iterations):
            state = self.update_block(state, context, correlation.lookup(base + flow), flow)
            step, info = self.flow_head(state).float().split((2, 4), dim=1)
            flow = flow + step
            coarse.append((state, flow, info))

        fine = (padding.crop(self._upsample(*one)) for one in (coarse if every else coarse[-1:]))
        return [Prediction(values[:, :2], values[:, 2:]) for values in fine]

    def _upsample(self, state: Tensor, flow: Tensor, info: Tensor) -> Tensor:
        weights = 0.25 * self.upsample_weight(state)
        return convex_upsample(torch.cat((8.0 * flow, info), dim=1), weights)
