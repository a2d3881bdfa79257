"""All-pairs correlation, its window lookup and the convex upsampling that the RAFT family of flow networks shares."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.ops.warp import coordinates

KEEP_BYTES = 2 << 30
"""A correlation volume up to this size is kept between lookups; a larger one is recomputed by rows in each."""

CHUNK_BYTES = 256 << 20
"""Size of one piece of a recomputed volume."""


def lookup_window(maps: Tensor, centers: Tensor, radius: int) -> Tensor:
    """Sample a square window of each map around its own position; zeros outside the map.

    Args:
        maps: `[N, 1, H, W]`.
        centers: `[N, 2]`, (x, y) in pixels of the map.

    Returns:
        `[N, (2 radius + 1)^2]`. The slow index moves x, the fast one y: RAFT's order, which its weights expect.
    """
    height, width = maps.shape[-2:]
    steps = torch.arange(-radius, radius + 1, device=maps.device, dtype=torch.float32)
    x = (centers[:, :1].float() + steps) * (2.0 / max(width - 1, 1)) - 1.0
    y = (centers[:, 1:].float() + steps) * (2.0 / max(height - 1, 1)) - 1.0
    side = len(steps)
    grid = torch.stack((x.unsqueeze(2).expand(-1, -1, side), y.unsqueeze(1).expand(-1, side, -1)), dim=-1)
    return F.grid_sample(maps.float(), grid, align_corners=True).flatten(1)


class CorrelationPyramid:
    """Dot products of every position of one feature map with every position of another, at several scales.

    Level i holds the products with the second map averaged over 2^i x 2^i positions (an odd last row or column is
    dropped), divided by sqrt(channels). (RAFT, section 3.2.)
    """

    def __init__(self, features1: Tensor, features2: Tensor, levels: int = 4, radius: int = 4) -> None:
        """Args: `features1`, `features2` are `[B, C, h, w]`, with h and w at least 2^(levels - 1)."""
        self.radius = radius
        self.queries = features1.float() * features1.shape[1] ** -0.5
        self.targets = [features2.float()]
        for _ in range(levels - 1):
            self.targets.append(F.avg_pool2d(self.targets[-1], 2))
        batch, _, height, width = features1.shape
        self._row_bytes = 4 * batch * width * sum(t.shape[-2] * t.shape[-1] for t in self.targets)
        whole = self._row_bytes * height <= KEEP_BYTES
        self._volumes = self._correlate(slice(0, height)) if whole else None

    def lookup(self, positions: Tensor) -> Tensor:
        """Windows of all levels at `positions` `[B, 2, h, w]` ((x, y) in the second map): `[B, L (2r+1)^2, h, w]`."""
        if self._volumes is not None:
            return self._windows(self._volumes, positions)
        height = positions.shape[-2]
        step = max(1, CHUNK_BYTES // self._row_bytes)
        rows = (slice(top, min(top + step, height)) for top in range(0, height, step))
        pieces = [self._windows(self._correlate(piece), positions[:, :, piece]) for piece in rows]
        return torch.cat(pieces, dim=2)

    def _correlate(self, rows: slice) -> list[Tensor]:
        queries = self.queries[:, :, rows].flatten(2).transpose(1, 2)
        with torch.autocast(queries.device.type, enabled=False):
            return [
                torch.matmul(queries, target.flatten(2)).view(-1, 1, *target.shape[-2:]) for target in self.targets
            ]

    def _windows(self, volumes: list[Tensor], positions: Tensor) -> Tensor:
        batch, _, height, width = positions.shape
        centers = positions.permute(0, 2, 3, 1).reshape(-1, 2)
        levels = [lookup_window(v, centers / 2**i, self.radius) for i, v in enumerate(volumes)]
        return torch.cat(levels, dim=1).view(batch, height, width, -1).permute(0, 3, 1, 2)


def convex_upsample(values: Tensor, weights: Tensor, factor: int = 8) -> Tensor:
    """Upsample by learned convex combinations of the 3x3 coarse neighbours (RAFT, section 3.3).

    Args:
        values: `[B, C, h, w]`.
        weights: `[B, 9 factor^2, h, w]`, before the softmax over the 9 neighbours.

    Returns:
        `[B, C, factor h, factor w]`; values are not rescaled, so multiply a flow by `factor` first.
    """
    batch, channels, height, width = values.shape
    shares = weights.float().view(batch, 1, 9, factor, factor, height, width).softmax(dim=2)
    neighbours = F.unfold(values.float(), 3, padding=1).view(batch, channels, 9, 1, 1, height, width)
    fine = (shares * neighbours).sum(dim=2)
    return fine.permute(0, 1, 4, 2, 5, 3).reshape(batch, channels, factor * height, factor * width)


def positions_of(features: Tensor) -> Tensor:
    """The position of every element of `[B, C, h, w]` itself: `[B, 2, h, w]`, (x, y), float32."""
    height, width = features.shape[-2:]
    return coordinates(height, width, features.float()).expand(features.shape[0], -1, -1, -1)
