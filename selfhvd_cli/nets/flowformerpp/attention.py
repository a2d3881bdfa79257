"""Attention, the position code and the token layers that all parts of FlowFormer++ are made of."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfhvd_cli.ops.warp import coordinates


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Multi-head attention: `[..., N, C]` and twice `[..., M, C]` -> `[..., N, C]`."""
    query, key, value = (x.unflatten(-1, (heads, -1)).transpose(-3, -2) for x in (query, key, value))
    return F.scaled_dot_product_attention(query, key, value).transpose(-3, -2).flatten(-2)


def position_code(places: Tensor, channels: int) -> Tensor:
    """Sines and cosines of x and y, `[..., 2]` -> `[..., channels]`; 3.14 is what the weights were trained with."""
    frequencies = torch.arange(channels // 4, device=places.device, dtype=torch.float32)
    x, y = (3.14 * places.float().unsqueeze(-1) * frequencies / 200).unbind(-2)
    return torch.cat((x.sin(), x.cos(), y.sin(), y.cos()), dim=-1)


def places_of(size: Sequence[int], like: Tensor) -> Tensor:
    """(x, y) of every place of a map of `size` (H, W): `[H, W, 2]`, float32, on the device of `like`."""
    height, width = size
    return coordinates(height, width, like.float())[0].permute(1, 2, 0)


class MLP(nn.Module):
    """Linear, exact GELU, linear."""

    def __init__(self, channels: int, ratio: int = 4) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, ratio * channels)
        self.fc2 = nn.Linear(ratio * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class TokenLayer(nn.Module):
    """Tokens attend to others, or to themselves, and pass through a perceptron.

    Args:
        channels: of the tokens.
        other_channels: of what they attend to.
    """

    heads = 8

    def __init__(self, channels: int, other_channels: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.q = nn.Linear(channels, channels)
        self.k = nn.Linear(other_channels, channels)
        self.v = nn.Linear(other_channels, channels)
        self.proj = nn.Linear(channels, channels)
        # Place 2 of the official sequence is a dropout.
        self.ffn = nn.ModuleDict({"0": nn.Linear(channels, channels), "3": nn.Linear(channels, channels)})

    def forward(self, tokens: Tensor) -> Tensor:
        """Self-attention: `[..., N, C]` -> `[..., N, C]`."""
        normed = self.norm1(tokens)
        return self.merge(tokens, self.q(normed), self.k(normed), self.v(normed))

    def merge(self, tokens: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """What follows once queries, keys and values are there; `tokens` is added to what they gather."""
        tokens = tokens + self.proj(attend(query, key, value, self.heads))
        return tokens + self.ffn["3"](F.gelu(self.ffn["0"](self.norm2(tokens))))


def to_windows(x: Tensor, side: int) -> Tensor:
    """`[B, H, W, C]` -> `[B, rows, columns, side^2, C]`, zeros joining at the bottom and right."""
    x = F.pad(x, (0, 0, 0, -x.shape[2] % side, 0, -x.shape[1] % side))
    x = x.unflatten(2, (-1, side)).unflatten(1, (-1, side))
    return x.transpose(2, 3).flatten(3, 4)


def from_windows(windows: Tensor, side: int, height: int, width: int) -> Tensor:
    """The inverse of `to_windows`, cut to `[B, height, width, C]`."""
    x = windows.unflatten(3, (side, side)).transpose(2, 3)
    return x.flatten(3, 4).flatten(1, 2)[:, :height, :width]
