"""Supervised losses of the embedded network: sharp truth for the picture, exact flow for the alignment."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.nets.lite_alignment import Alignment

CHARBONNIER = 1e-3
"""Where the picture's loss turns from square to absolute, in units of the picture's range."""


NEGLIGIBLE = 0.004
"""Distance from the truth that a frame of 47 dB has; of less, a share means nothing."""

USUAL = 0.03
"""Distance that a frame of 30 dB has: scales the loss so that learning rates and the flow's weight mean the same."""


def picture_loss(output: Tensor, truth: Tensor, recorded: Tensor, balance: float = 0.0) -> Tensor:
    """Distance from the truth, the mean over a batch; `[B, 3, H, W]` each, RGB in [0, 1].

    As a plain distance a hopeless frame outweighs ten sharp ones, and a network that had seen crisp scenes alone
    learned to spoil those. As a share of the error that is left, every frame counts alike: 500 steps on from the
    embedded weights, on the same windows, the worst of 136 frames had 0.2 dB more than with the plain distance, and
    the blurrier half 0.3 dB less.

    Args:
        recorded: the frame as it came, at this size.
        balance: 0 is the plain distance, 1 the share of the recorded frame's distance that is left.
    """
    weight = (USUAL / (_distance(recorded, truth) + NEGLIGIBLE)) ** balance
    return (_distance(output.float(), truth) * weight).mean()


def _distance(picture: Tensor, truth: Tensor) -> Tensor:
    """`[B]`: Charbonnier distance, plus that of the spectra, which keeps fine detail sharp."""
    difference = picture - truth
    pixels = torch.sqrt(difference.square() + CHARBONNIER**2).flatten(1).mean(1)
    spectrum = torch.view_as_real(torch.fft.rfft2(difference, norm="ortho")).abs().flatten(1).mean(1)
    return pixels + 0.1 * spectrum


def flow_loss(alignments: list[Alignment], truth: Tensor) -> Tensor:
    """Negative log likelihood of the exact flow under each level's Laplace law, finest level weighted most.

    Args:
        alignments: coarse to fine, `[N, 2, h, w]` each, in pixels of its own grid.
        truth: `[N, 2, H, W]`, exact flow in pixels of the frame.
    """
    total = truth.new_zeros(())
    for age, alignment in enumerate(reversed(alignments)):
        height, width = alignment.flow.shape[-2:]
        ratio = truth.shape[-1] / width
        exact = F.adaptive_avg_pool2d(truth, (height, width)) / ratio
        visible = _visible(exact)
        error = torch.sqrt((alignment.flow - exact).square().sum(1, keepdim=True) + 1e-4)
        likelihood = error * torch.exp(-alignment.log_scale) + alignment.log_scale
        # The plain error beside the likelihood: a level that gives up (large scale) would stop learning.
        loss = (likelihood + error.clamp(max=8.0)) * visible
        total = total + 0.6**age * loss.sum() / visible.sum().clamp(min=1.0)
    return total


def endpoint_error(alignment: Alignment, truth: Tensor) -> Tensor:
    """Mean endpoint error in pixels of the frame, over the pixels whose match lies inside it."""
    height, width = alignment.flow.shape[-2:]
    ratio = truth.shape[-1] / width
    exact = F.adaptive_avg_pool2d(truth, (height, width)) / ratio
    visible = _visible(exact)
    error = (alignment.flow - exact).square().sum(1, keepdim=True).sqrt() * ratio
    return (error * visible).sum() / visible.sum().clamp(min=1.0)


def _visible(flow: Tensor) -> Tensor:
    """`[N, 1, h, w]`: 1 where the flow ends inside the picture."""
    height, width = flow.shape[-2:]
    x = torch.arange(width, device=flow.device) + flow[:, 0]
    y = torch.arange(height, device=flow.device).unsqueeze(1) + flow[:, 1]
    inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    return inside.unsqueeze(1).to(flow.dtype)
