"""Flow by the embedded network: made for blurry pictures, needs no download, and knows how far off it may be."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.flow.estimator import Flow
from selfhvd_cli.nets.lite import Lite
from selfhvd_cli.ops.padding import pad_size

MULTIPLE_OF, MIN_SIZE = 8, 64
"""Sides of the pictures that the network aligns; others are extended by their edge pixels, then cut back."""

GRID = 4
"""Its flow lies on a grid of a quarter of the picture's size, in pixels of that grid."""


class LiteEstimator:
    """`Lite.align` as a `FlowEstimator`; the confidence is exp(-e), e the expected endpoint error in pixels."""

    def __init__(self, network: Lite) -> None:
        """
        Args:
            network: with its weights loaded; put into eval mode and never trained here, so give it a copy of its own.
        """
        self.network = network.eval().requires_grad_(False)

    @torch.no_grad()
    def __call__(self, source: Tensor, target: Tensor) -> Flow:
        source, padding = pad_size(source.float(), MULTIPLE_OF, MIN_SIZE)
        target, _ = pad_size(target.float(), MULTIPLE_OF, MIN_SIZE)
        found = self.network.align(source, target)
        size = source.shape[-2:]
        vectors = GRID * F.interpolate(found.flow.float(), size=size, mode="bilinear", align_corners=False)
        error = GRID * F.interpolate(found.log_scale.float(), size=size, mode="bilinear", align_corners=False).exp()
        return Flow(padding.crop(vectors).contiguous(), padding.crop(torch.exp(-error)).contiguous())
