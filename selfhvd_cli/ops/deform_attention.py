"""Guided deformable attention: each pixel attends to a few bilinear samples of other frames around where flow points.

RVRT (Liang et al., NeurIPS 2022, section 3.3), as in the operator of its official repository, in plain torch.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.ops.bilinear_rows import corner_rows, rows_with_border

CACHE_BYTES = 4 << 20
"""Sampled keys held at a time on a CPU: they stay in its cache between sampling and product."""

DEVICE_BYTES = 512 << 20
"""The same elsewhere, where few large steps are faster than many small ones."""


def deform_attention(
    query: Tensor, keys_values: Tensor, offsets: Tensor, heads: int, groups: int, kernel: int = 3
) -> Tensor:
    """Attention of each query pixel over kernel^2 samples in each of the T frames of the other clip.

    Query frame t reads as its n-th source the frame (n + t) mod T. A tap of row i and column j samples at
    (y - p + i + dy, x - p + j + dx), p = kernel // 2, bilinearly and with zeros outside; keys and values are moved
    by offset groups of their own.

    Args:
        query: `[B, T, C, H, W]`.
        keys_values: `[B, T, 2 C, H, W]`, the keys' channels before the values'.
        offsets: `[B, T, T * groups * kernel^2 * 2, H, W]`: source n, group, tap (row-major), (dy, dx) in pixels.
            The first half of the groups moves the keys, the second half the values.
        heads: attention heads; a multiple of `groups / 2`.

    Returns:
        `[B, T, C, H, W]`, float32, in channels-last order.
    """
    batch, clip, channels, height, width = query.shape
    if groups % 2 or heads % (groups // 2) or channels % heads:
        raise ValueError(f"{channels} channels, {heads} heads and {groups} groups do not share evenly")
    scale = (channels // heads) ** -0.5
    # Autocast would sample in half precision, where a position in a large map is no longer exact.
    with torch.autocast(query.device.type, enabled=False):
        pixels = query.float().permute(0, 1, 3, 4, 2).reshape(batch, clip, height * width, channels) * scale
        moves = (
            offsets.float().permute(0, 1, 3, 4, 2).reshape(batch, clip, height * width, clip, groups, kernel**2, 2)
        )
        keys, values = keys_values.float().split(channels, dim=2)
        key_rows = rows_with_border(keys).view(batch, -1, 2 * channels // groups)
        value_rows = rows_with_border(values).view(batch, -1, channels // heads)
        most = CACHE_BYTES if query.device.type == "cpu" else DEVICE_BYTES
        step = max(width, most // (kernel**2 * clip * channels * 4))
        pieces = []
        for b in range(batch):
            for t in range(clip):
                sources = [(n + t) % clip for n in range(clip)]
                for start in range(0, height * width, step):
                    part = slice(start, min(start + step, height * width))
                    corners, shares = corner_rows(moves[b, t, part], start, height, width, kernel, sources)
                    pieces.append(_attend(pixels[b, t, part], key_rows[b], value_rows[b], corners, shares))
    attended = torch.cat(pieces).view(batch, clip, height, width, channels)
    return attended.permute(0, 1, 4, 2, 3)


def _attend(query: Tensor, keys: Tensor, values: Tensor, corners: Tensor, shares: Tensor) -> Tensor:
    """softmax(q k) v of P pixels: `[P, C]`.

    Args:
        query: `[P, C]`, scaled.
        keys: `[rows * G/2, C / (G/2)]`, a row of each pixel and key group.
        values: `[rows * heads, C / heads]`, a row of each pixel and head.
        corners, shares: `[P, G, T, K, 4]`, of the keys' groups and then the values'.
    """
    count, groups = corners.shape[:2]
    half, depth = groups // 2, values.shape[1]
    heads = query.shape[1] // depth
    each = heads // half

    group = torch.arange(half, device=query.device, dtype=torch.int32).view(half, 1, 1, 1)
    sampled = F.embedding_bag(
        (corners[:, :half] * half + group).view(-1, 4),
        keys,
        per_sample_weights=shares[:, :half].reshape(-1, 4),
        mode="sum",
    )
    logits = (sampled.view(count, half, -1, each, depth) * query.view(count, half, 1, each, depth)).sum(-1)
    attention = logits.softmax(dim=2).transpose(2, 3).contiguous().unsqueeze(-1)

    # Attention and bilinear shares in one weight: the sampled values are never stored.
    head = torch.arange(heads, device=query.device, dtype=torch.int32).view(half, each, 1)
    picked = (corners[:, half:] * heads).view(count, half, 1, -1) + head
    weights = attention * shares[:, half:].view(count, half, 1, -1, 4)
    attended = F.embedding_bag(
        picked.view(count * heads, -1),
        values,
        per_sample_weights=weights.reshape(count * heads, -1),
        mode="sum",
    )
    return attended.view(count, -1)
