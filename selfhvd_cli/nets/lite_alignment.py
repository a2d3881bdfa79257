"""Alignment for Lite: a coarse-to-fine search for the flow between blurry pictures, with its own doubt."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfhvd_cli.ops.constants import numbers, spaced
from selfhvd_cli.ops.correlation import correlate, displacements
from selfhvd_cli.ops.phases import for_convolution
from selfhvd_cli.ops.warp import warp

CERTAIN = -6.0
"""Smallest log scale: an endpoint error of a hundredth of a pixel of the full frame."""


class Alignment(NamedTuple):
    """Flow from targets to sources, as the network estimates it."""

    flow: Tensor
    """`[N, 2, H/4, W/4]`, (dx, dy) in pixels of that grid: multiply by 4 for pixels of the frame."""

    log_scale: Tensor
    """`[N, 1, H/4, W/4]`: log of the expected endpoint error in pixels of that grid (the b of a Laplace law)."""


class FlowLevel(nn.Module):
    """One step of the coarse-to-fine search: matches within `radius` of the flow so far, then corrects it.

    The first guess needs no training: the mean displacement under a softmax of the correlation.
    """

    def __init__(self, channels: int, match: int, width: int, radius: int, depth: int, last: int = 3) -> None:
        """
        Args:
            channels: of the features.
            match: how many of them are compared.
            width: of the hidden layers.
            radius: of the search, in cells of this level.
            depth: hidden layers beside the first.
            last: side of the last layer's kernel.
        """
        super().__init__()
        self.radius = radius
        across, down = zip(*displacements(radius), strict=True)
        self.displacements = (*across, *down)
        self.match = nn.Conv2d(channels, match, 1, bias=False)
        self.log_temperature = nn.Parameter(torch.tensor(2.5))
        self.gain = nn.Parameter(torch.tensor(1.0))
        inputs = (2 * radius + 1) ** 2 + 2 * match + 2 + 2 + 1
        self.first = nn.Conv2d(inputs, width, 3, padding=1)
        self.middle = nn.ModuleList([nn.Conv2d(width, width, 3, padding=1) for _ in range(depth)])
        self.last = nn.Conv2d(width, 3, last, padding=last // 2)
        silence(self.last)

    def describe(self, features: Tensor) -> Tensor:
        """What of features `[N, C, h, w]` is compared: `[N, match, h, w]`, float32."""
        return _unit(self.match(features))

    def forward(self, target: Tensor, source: Tensor, start: Alignment) -> Alignment:
        """Refine `start`, which is on this level's grid.

        Args:
            target: by `describe`, `[B, match, h, w]`.
            source: the same, N = B·K.
            start: N alignments.
        """
        count = source.shape[0] // target.shape[0]
        moved = warp(source, start.flow)
        cost, shift = self._search(_repeated(target, count), moved)
        inputs = for_convolution(cost, moved, shift, _squash(start.flow), start.log_scale)
        # The target's share of the first layer is the same for all its sources.
        before, after = cost.shape[1], cost.shape[1] + target.shape[1]
        weight = self.first.weight
        x = F.conv2d(inputs, torch.cat((weight[:, :before], weight[:, after:]), dim=1), self.first.bias, padding=1)
        x = x.add_(_repeated(F.conv2d(for_convolution(target), weight[:, before:after], padding=1), count))
        x = F.leaky_relu(x, 0.1, inplace=True)
        for layer in self.middle:
            x = F.leaky_relu(layer(x), 0.1, inplace=True)
        change = self.last(x).float()
        flow = torch.addcmul(start.flow, self.gain, shift) + change[:, :2]
        return Alignment(flow, (start.log_scale + change[:, 2:]).clamp(CERTAIN, 4.0))

    def _search(self, anchor: Tensor, moved: Tensor) -> tuple[Tensor, Tensor]:
        """Correlation `[N, (2r+1)², h, w]` and its soft argmax `[N, 2, h, w]`."""
        cost = correlate(anchor, moved, self.radius)
        weight = torch.softmax(cost.float() * self.log_temperature.exp(), dim=1)
        places = numbers(self.displacements, weight.device).view(2, -1)
        with torch.autocast(weight.device.type, enabled=False):
            mean = places @ weight.flatten(2)
        return cost, mean.unflatten(2, weight.shape[2:])


def silence(layer: nn.Conv2d, bias: float = 0.0) -> None:
    """Make a layer answer `bias` to everything until it has learned better."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.constant_(layer.bias, bias)


def _unit(features: Tensor) -> Tensor:
    """Features without their mean over the picture, of length 1 at each pixel: correlation is then a cosine."""
    planes = features.float().contiguous()
    centred = planes - planes.mean(dim=(2, 3), keepdim=True)
    return centred * torch.rsqrt(centred.square().sum(1, keepdim=True) + 1e-4)


def _repeated(values: Tensor, count: int) -> Tensor:
    """Every one of a batch `count` times in a row; a view where it is one."""
    if values.shape[0] == 1:
        return values.expand(count, -1, -1, -1)
    return values.repeat_interleave(count, 0)


def _squash(flow: Tensor) -> Tensor:
    """Flow for a convolution to read, asinh(flow / 4): its size matters little beyond some pixels."""
    if flow.device.type != "cpu":
        return torch.asinh(flow * 0.25)
    # Written out, for on CPUs neither asinh nor log1p is vectorised as log is.
    size = (flow * 0.25).abs()
    return torch.copysign(torch.log(size + torch.sqrt(size * size + 1.0)), flow)


def unknown(features: Tensor) -> Alignment:
    """No motion, one pixel off: where the search begins."""
    return Alignment(
        torch.zeros_like(features[:, :2], dtype=torch.float32), torch.zeros_like(features[:, :1], dtype=torch.float32)
    )


def at_size(alignment: Alignment, size: torch.Size) -> Alignment:
    """The alignment on another grid of the same picture."""
    height, width = size
    if alignment.flow.shape[-2:] == size:
        return alignment
    both = torch.cat((alignment.flow, alignment.log_scale), dim=1).contiguous()
    both = F.interpolate(both, size=(height, width), mode="bilinear", align_corners=False)
    flow, log_scale = both[:, :2], both[:, 2:]
    before = alignment.flow.shape
    scale = numbers((width / before[-1], height / before[-2]), flow.device)
    return Alignment(flow * scale.view(1, 2, 1, 1), log_scale)


def inside_picture(flow: Tensor) -> Tensor:
    """`[N, 1, h, w]`: 1 where the flow stays within the picture."""
    height, width = flow.shape[-2:]
    x = spaced(0, width - 1, width, flow.device) + flow[:, 0]
    y = spaced(0, height - 1, height, flow.device).unsqueeze(1) + flow[:, 1]
    within = (x == x.clamp(0, width - 1)) & (y == y.clamp(0, height - 1))
    return within.unsqueeze(1).to(flow.dtype)
