"""RVRT's feature blocks: a convolution, then transformer layers that attend within windows of a few frames."""

from __future__ import annotations

from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfhvd_cli.nets.rvrt.layers import MLP, FrameConv

SIDE = 8
"""Height and width of an attention window, in pixels at 1/4 size."""

SHIFT = SIDE // 2
"""How far the second layer of each pair moves its windows."""

HIDDEN = -100.0
"""Added to the logits between pixels that only a shifted window brings together."""


class WindowAttention(nn.Module):
    """Self-attention of the pixels of one window, with a learned bias for each relative position.

    Args:
        channels: of the features.
        heads: attention heads.
        frames: of a window.
    """

    relative_position_index: Tensor

    def __init__(self, channels: int, heads: int, frames: int) -> None:
        super().__init__()
        self.heads = heads
        places = (2 * frames - 1) * (2 * SIDE - 1) ** 2
        self.relative_position_bias_table = nn.Parameter(torch.empty(places, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer("relative_position_index", _relative_positions(frames))
        self.qkv_self = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def bias(self) -> Tensor:
        """Bias of the logits, `[1, heads, N, N]`, for the N pixels of a window."""
        pixels = self.relative_position_index.shape[0]
        table = self.relative_position_bias_table[self.relative_position_index.flatten()]
        return table.view(pixels, pixels, self.heads).permute(2, 0, 1).unsqueeze(0)

    def forward(self, windows: Tensor, bias: Tensor) -> Tensor:
        """`[W, N, C]` -> `[W, N, C]`; `bias` `[1, heads, N, N]` includes what is hidden."""
        query, key, value = self.qkv_self(windows).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query.dtype))
        return self.proj(attended.transpose(1, 2).flatten(2))


def _relative_positions(frames: int) -> Tensor:
    """Row of the bias table for each pair of a window's pixels, `[N, N]`, N = frames * SIDE^2."""
    axes = (torch.arange(frames), torch.arange(SIDE), torch.arange(SIDE))
    places = torch.stack(torch.meshgrid(*axes, indexing="ij")).flatten(1)
    t, y, x = places.unsqueeze(2) - places.unsqueeze(1)
    row = 2 * SIDE - 1
    return (t + frames - 1) * row * row + (y + SIDE - 1) * row + (x + SIDE - 1)


class AttentionLayer(nn.Module):
    """x + attention(norm x), then x + mlp(norm x), on `[B, T, H, W, C]`.

    Args:
        shifted: windows are moved by half their side, so that neighbours meet.
    """

    def __init__(self, channels: int, heads: int, frames: int, mlp_ratio: int, shifted: bool) -> None:
        super().__init__()
        self.frames = frames
        self.shifted = shifted
        self.norm1 = nn.LayerNorm(channels)
        self.attn = WindowAttention(channels, heads, frames)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = MLP(channels, mlp_ratio * channels)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._attend(self.norm1(x))
        return x + self.mlp(self.norm2(x))

    def _attend(self, x: Tensor) -> Tensor:
        batch, count, height, width, _ = x.shape
        # Zeros join after the norm and are attended to like any pixel: the published weights know it so.
        x = F.pad(x, (0, 0, 0, -width % SIDE, 0, -height % SIDE))
        shift_y, shift_x = (SHIFT if self.shifted and size > SIDE else 0 for size in (height, width))
        if self.shifted:
            x = x.roll((-shift_y, -shift_x), (2, 3))
        grid = _windows(x, self.frames)
        bias = self.attn.bias()
        if shift_y or shift_x:
            grid = self._attend_shifted(grid, bias, shift_y, shift_x)
        else:
            grid = self.attn(grid.flatten(0, 2), bias).view_as(grid)
        x = _from_windows(grid, batch, self.frames)
        if self.shifted:
            x = x.roll((shift_y, shift_x), (2, 3))
        return x[:, :count, :height, :width]

    def _attend_shifted(self, grid: Tensor, bias: Tensor, shift_y: int, shift_x: int) -> Tensor:
        """After the roll only the last row and column of windows join pixels from opposite edges of the frame.

        So four masks serve all windows, where one mask a window would outweigh the features.
        """
        rows, columns = grid.shape[1:3]
        result = torch.empty_like(grid)
        for last_y, last_x in product((False, True), repeat=2):
            y = slice(rows - 1, rows) if last_y else slice(0, rows - 1)
            x = slice(columns - 1, columns) if last_x else slice(0, columns - 1)
            part = grid[:, y, x]
            if part.numel():
                mask = bias + self._hidden(last_y and shift_y > 0, last_x and shift_x > 0, bias)
                result[:, y, x] = self.attn(part.flatten(0, 2), mask).view_as(part).to(result.dtype)
        return result

    def _hidden(self, split_y: bool, split_x: bool, like: Tensor) -> Tensor:
        """`[N, N]`: `HIDDEN` between pixels on different sides of where the frame's edges meet, else 0."""
        far = torch.arange(SIDE, device=like.device) >= SIDE - SHIFT
        region = 2 * (far & split_y).view(1, -1, 1) + (far & split_x).view(1, 1, -1)
        region = region.expand(self.frames, -1, -1).flatten()
        return HIDDEN * (region.unsqueeze(0) != region.unsqueeze(1)).to(like.dtype)


def _windows(x: Tensor, frames: int) -> Tensor:
    """`[B, T, H, W, C]` -> `[B T/frames, H/SIDE, W/SIDE, frames SIDE^2, C]`."""
    x = x.unflatten(3, (-1, SIDE)).unflatten(2, (-1, SIDE)).unflatten(1, (-1, frames))
    return x.permute(0, 1, 3, 5, 2, 4, 6, 7).flatten(4, 6).flatten(0, 1)


def _from_windows(grid: Tensor, batch: int, frames: int) -> Tensor:
    """The inverse of `_windows`."""
    x = grid.unflatten(3, (frames, SIDE, SIDE)).unflatten(0, (batch, -1))
    return x.permute(0, 1, 4, 2, 5, 3, 6, 7).flatten(5, 6).flatten(3, 4).flatten(1, 2)


class ResidualGroup(nn.Module):
    """x + Linear(layers(x)); every second layer's windows are shifted."""

    def __init__(self, channels: int, heads: int, frames: int, mlp_ratio: int, depth: int) -> None:
        super().__init__()
        layers = (AttentionLayer(channels, heads, frames, mlp_ratio, i % 2 == 1) for i in range(depth))
        self.residual_group = nn.ModuleDict({"blocks": nn.Sequential(*layers)})
        self.linear = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.linear(self.residual_group["blocks"](x))


class ConvBlock(nn.Module):
    """Convolution, norm, residual groups, norm: `[B, T, H, W, C_in]` -> `[B, T, H, W, C]`.

    Args:
        conv_groups: of the convolution; with 3 the order of the concatenated inputs decides which of them meet.
        frames: of an attention window.
        count: residual groups.
    """

    def __init__(
        self,
        channels_in: int,
        channels: int,
        conv_groups: int,
        frames: int,
        heads: int = 6,
        mlp_ratio: int = 2,
        count: int = 1,
        depth: int = 2,
    ) -> None:
        super().__init__()
        groups = (ResidualGroup(channels, heads, frames, mlp_ratio, depth) for _ in range(count))
        # The even places of the official sequence only move axes.
        self.main = nn.ModuleDict(
            {
                "1": FrameConv(channels_in, channels, groups=conv_groups),
                "3": nn.LayerNorm(channels),
                "5": nn.Sequential(*groups),
                "7": nn.LayerNorm(channels),
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        for part in self.main.values():
            x = part(x)
        return x
