"""FlowFormer++'s cost memory: each place's map of matching costs, told in eight tokens that know their neighbours."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfhvd_cli.nets.flowformerpp.attention import (
    MLP,
    TokenLayer,
    attend,
    from_windows,
    places_of,
    position_code,
    to_windows,
)

CHANNELS = 128
"""Of a token."""

TOKENS = 8
"""Per place."""

PATCH = 8
"""Side of the cost patches, in places of the cost map."""

CODE = 64
"""Channels of a patch's position, as many as of its contents."""

CONTEXT = 64
"""Channels that the context brings into queries and keys."""

HEADS = 8
WINDOW = 7
SUBSAMPLING = 4

CHUNK_BYTES = 256 << 20
"""Cost maps are told in pieces whose first convolution stays below this size."""


class PatchEmbedding(nn.Module):
    """A cost map `[N, 1, H, W]` -> tokens of its 8x8 patches `[N, ceil(H/8) ceil(W/8), 128]`."""

    def __init__(self) -> None:
        super().__init__()
        depths = (1, CODE // 4, CODE // 2, CODE)
        # The odd places of the official list are ReLUs.
        self.proj = nn.ModuleDict(
            {str(2 * i): nn.Conv2d(depths[i], depths[i + 1], 6, stride=2, padding=2) for i in range(3)}
        )
        self.ffn_with_coord = nn.Sequential(
            nn.Conv2d(2 * CODE, 2 * CODE, 1), nn.ReLU(), nn.Conv2d(2 * CODE, 2 * CODE, 1)
        )
        self.norm = nn.LayerNorm(2 * CODE)

    def forward(self, maps: Tensor) -> Tensor:
        x = F.pad(maps, (0, -maps.shape[-1] % PATCH, 0, -maps.shape[-2] % PATCH))
        x = F.relu(self.proj["0"](x))
        x = F.relu(self.proj["2"](x))
        x = self.proj["4"](x)
        code = position_code(places_of(x.shape[-2:], x) * PATCH + PATCH / 2, CODE).permute(2, 0, 1)
        x = self.ffn_with_coord(torch.cat((x, code.to(x.dtype).expand(x.shape[0], -1, -1, -1)), dim=1))
        return self.norm(x.flatten(2).transpose(1, 2))


class LocalAttention(nn.Module):
    """Tokens attend within 7x7 places; the context joins in queries and keys alone."""

    def __init__(self) -> None:
        super().__init__()
        self.context_proj = nn.Linear(256, CONTEXT)
        self.q = nn.Linear(CHANNELS + CONTEXT, CHANNELS)
        self.k = nn.Linear(CHANNELS + CONTEXT, CHANNELS)
        self.v = nn.Linear(CHANNELS, CHANNELS)
        self.proj = nn.Linear(CHANNELS, CHANNELS)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        guided = torch.cat((x, self.context_proj(context).to(x.dtype)), dim=-1)
        code = position_code(places_of((WINDOW, WINDOW), x), CHANNELS + CONTEXT).flatten(0, 1)
        guided = to_windows(guided, WINDOW) + code.to(x.dtype)
        windows = attend(self.q(guided), self.k(guided), self.v(to_windows(x, WINDOW)), HEADS)
        return self.proj(from_windows(windows, WINDOW, x.shape[1], x.shape[2]))


class GlobalAttention(nn.Module):
    """Tokens attend to those of the whole picture, subsampled by 4."""

    def __init__(self) -> None:
        super().__init__()
        self.context_proj = nn.Linear(256, CONTEXT)
        self.q = nn.Linear(CHANNELS + CONTEXT, CHANNELS)
        self.k = nn.Linear(CHANNELS, CHANNELS)
        self.v = nn.Linear(CHANNELS, CHANNELS)
        self.proj = nn.Linear(CHANNELS, CHANNELS)
        self.sr_key = nn.Conv2d(CHANNELS + CONTEXT, CHANNELS, SUBSAMPLING, stride=SUBSAMPLING)
        self.sr_value = nn.Conv2d(CHANNELS, CHANNELS, SUBSAMPLING, stride=SUBSAMPLING)
        self.norm = nn.LayerNorm(CHANNELS)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        height, width = x.shape[1:3]
        padding = (0, 0, 0, -width % SUBSAMPLING, 0, -height % SUBSAMPLING)
        guided = F.pad(torch.cat((x, self.context_proj(context).to(x.dtype)), dim=-1), padding)
        x = F.pad(x, padding)
        query = self.q(guided + position_code(places_of(x.shape[1:3], x), CHANNELS + CONTEXT).to(x.dtype))
        coarse = self.norm(self.sr_key(guided.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
        places = places_of(coarse.shape[1:3], x) * SUBSAMPLING
        key = self.k(coarse + position_code(places, CHANNELS).to(x.dtype))
        value = self.v(self.norm(self.sr_value(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)))
        attended = attend(query.flatten(1, 2), key.flatten(1, 2), value.flatten(1, 2), HEADS)
        return self.proj(attended.view(query.shape)[:, :height, :width])


class Block(nn.Module):
    """x + attention(norm x, context), then x + mlp(norm x), on `[B, H, W, C]`."""

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(CHANNELS)
        self.attn = attention
        self.norm2 = nn.LayerNorm(CHANNELS)
        self.mlp = MLP(CHANNELS)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x), context)
        return x + self.mlp(self.norm2(x))


class SpatialLayer(nn.Module):
    """Tokens of one kind exchange between places, near and far."""

    def __init__(self) -> None:
        super().__init__()
        self.local_block = Block(LocalAttention())
        self.global_block = Block(GlobalAttention())

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        return self.global_block(self.local_block(x, context), context)


class CostPerceiver(nn.Module):
    """Cost maps -> cost memory."""

    def __init__(self, depth: int = 3) -> None:
        super().__init__()
        self.latent_tokens = nn.Parameter(torch.randn(1, TOKENS, CHANNELS))
        self.patch_embed = PatchEmbedding()
        self.input_layer = TokenLayer(CHANNELS, CHANNELS)
        self.encoder_layers = nn.ModuleList(TokenLayer(CHANNELS, CHANNELS) for _ in range(depth))
        self.vertical_encoder_layers = nn.ModuleList(SpatialLayer() for _ in range(depth))

    def forward(self, maps: Tensor, context: Tensor) -> Tensor:
        """Args: `maps` `[B, H, W, h, w]`, the costs of each place; `context` `[B, 256, H, W]`.

        Returns:
            `[B, H, W, 8, 128]`.
        """
        batch, height, width = maps.shape[:3]
        flat = maps.flatten(0, 2).unsqueeze(1)
        step = max(1, CHUNK_BYTES // (CODE // 4 * flat[0].numel()))
        tokens = torch.cat([self._tell(piece) for piece in flat.split(step)])
        first = tokens
        # The context of each picture serves all its token kinds.
        context = context.permute(0, 2, 3, 1).repeat_interleave(TOKENS, dim=0)
        for layer, spatial in zip(self.encoder_layers, self.vertical_encoder_layers, strict=True):
            tokens = layer(tokens)
            maps_of_tokens = tokens.view(batch, height, width, TOKENS, -1).permute(0, 3, 1, 2, 4).flatten(0, 1)
            maps_of_tokens = spatial(maps_of_tokens, context).unflatten(0, (batch, TOKENS))
            tokens = maps_of_tokens.permute(0, 2, 3, 1, 4).flatten(0, 2)
        return (tokens + first).view(batch, height, width, TOKENS, -1)

    def _tell(self, maps: Tensor) -> Tensor:
        patches = self.patch_embed(maps)
        layer = self.input_layer
        latent = self.latent_tokens.expand(len(patches), -1, -1)
        query = layer.q(layer.norm1(self.latent_tokens)).expand(len(patches), -1, -1)
        return layer.merge(latent, query, layer.k(patches), layer.v(patches))


class MemoryEncoder(nn.Module):
    """Two images -> costs of every place with every other, and the memory of them."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.feat_encoder = encoder
        self.cost_perceiver_encoder = CostPerceiver()

    def forward(self, image1: Tensor, image2: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Cost maps `[B, h, w, h, w]`, float32, and cost memory `[B, h, w, 8, 128]`, at 1/8 of the size."""
        features1, features2 = (self.feat_encoder(image).float() for image in (image1, image2))
        with torch.autocast(features1.device.type, enabled=False):
            maps = torch.matmul(features1.flatten(2).transpose(1, 2), features2.flatten(2))
        maps = maps.view(len(maps), *features1.shape[-2:], *features2.shape[-2:])
        return maps, self.cost_perceiver_encoder(maps, context)
