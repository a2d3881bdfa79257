"""Flow by FlowFormer++, in the tiles its authors evaluate it with."""

from __future__ import annotations

import torch
from torch import Tensor

from selfhvd_cli.flow.estimator import Flow
from selfhvd_cli.nets.flowformerpp import FlowFormerPP
from selfhvd_cli.ops.padding import pad_size

TILE = (432, 960)
"""Height and width of the pictures the network was trained on."""

OVERLAP = 20
"""Least number of pixels that neighbouring tiles share."""

SIGMA = 0.05
"""Deviation, in tile sizes, of the Gaussian weight around a tile's centre."""


class FlowFormerPPEstimator:
    """FlowFormer++ as a `FlowEstimator`; it knows no uncertainty, so the confidence is 1 everywhere."""

    def __init__(self, network: FlowFormerPP) -> None:
        """Args: `network` with its weights loaded; put into eval mode and never trained here."""
        self.network = network.eval().requires_grad_(False)

    @torch.no_grad()
    def __call__(self, source: Tensor, target: Tensor) -> Flow:
        source, padding = pad_size(source.float(), 8, min_size=64, where="around")
        target, _ = pad_size(target.float(), 8, min_size=64, where="around")
        vectors = padding.crop(self._in_tiles(source, target))
        return Flow(vectors, torch.ones_like(vectors[:, :1]))

    def _in_tiles(self, source: Tensor, target: Tensor) -> Tensor:
        size = source.shape[-2:]
        height, width = (min(side, most) for side, most in zip(size, TILE, strict=True))
        rows, columns = _starts(size[0], height), _starts(size[1], width)
        if len(rows) == len(columns) == 1:
            return self.network(source, target)[0]
        weight = _tile_weight(height, width).to(source.device)
        total = source.new_zeros(len(source), 2, *size)
        mass = source.new_zeros(1, 1, *size)
        for top in rows:
            for left in columns:
                place = (..., slice(top, top + height), slice(left, left + width))
                total[place] += weight * self.network(source[place], target[place])[0]
                mass[place] += weight
        return total / mass


def _starts(size: int, tile: int) -> list[int]:
    """First pixels of tiles that cover `size`, the last one flush with the end."""
    if size <= tile:
        return [0]
    return [*range(0, size - tile, tile - OVERLAP), size - tile]


def _tile_weight(height: int, width: int) -> Tensor:
    """`[1, 1, height, width]`: a Gaussian around the centre.

    Its exponent runs from 0 to -100 as in the official code, where the corners are no normal float32 any more;
    lifted by 50, all weights are, and only their ratios matter.
    """
    y = torch.arange(height).view(-1, 1) / height - 0.5
    x = torch.arange(width) / width - 0.5
    return torch.exp(50.0 - (x * x + y * y) / (2.0 * SIGMA**2)).view(1, 1, height, width)
