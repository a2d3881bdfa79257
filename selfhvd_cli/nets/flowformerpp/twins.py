"""The first two stages of Twins-SVT-L (Chu et al., NeurIPS 2021), FlowFormer++'s image encoder."""

from __future__ import annotations

from torch import Tensor, nn

from selfhvd_cli.nets.flowformerpp.attention import MLP, attend, from_windows, to_windows

STAGES = (
    # channels, patch, heads, subsampling
    (128, 4, 4, 8),
    (256, 2, 8, 4),
)

WINDOW = 7


class PatchEmbedding(nn.Module):
    """Non-overlapping patches -> normalised tokens `[B, H, W, C]`."""

    def __init__(self, channels_in: int, channels: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels_in, channels, patch, stride=patch)
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.proj(x).permute(0, 2, 3, 1))


class LocalAttention(nn.Module):
    """Self-attention within windows of 7x7."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.qkv(to_windows(x, WINDOW)).chunk(3, dim=-1)
        windows = attend(query, key, value, self.heads)
        return self.proj(from_windows(windows, WINDOW, x.shape[1], x.shape[2]))


class GlobalAttention(nn.Module):
    """Every place attends to a subsampled map of the whole picture."""

    def __init__(self, channels: int, heads: int, subsampling: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(channels, channels)
        self.kv = nn.Linear(channels, 2 * channels)
        self.proj = nn.Linear(channels, channels)
        self.sr = nn.Conv2d(channels, channels, subsampling, stride=subsampling)
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        coarse = self.norm(self.sr(x.permute(0, 3, 1, 2)).flatten(2).transpose(1, 2))
        key, value = self.kv(coarse).chunk(2, dim=-1)
        attended = attend(self.q(x).flatten(1, 2), key, value, self.heads)
        return self.proj(attended).view_as(x)


class Block(nn.Module):
    """x + attention(norm x), then x + mlp(norm x)."""

    def __init__(self, channels: int, attention: nn.Module) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=1e-6)
        self.attn = attention
        self.norm2 = nn.LayerNorm(channels, eps=1e-6)
        self.mlp = MLP(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PositionConv(nn.Module):
    """A depthwise 3x3 convolution, added: it tells places apart, zero padding being part of that."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, groups=channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.proj(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class Stages(nn.Module):
    """The two stages under the names of the whole classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.patch_embeds = nn.ModuleList()
        self.blocks = nn.ModuleList()
        self.pos_block = nn.ModuleList()
        before = 3
        for channels, patch, heads, subsampling in STAGES:
            self.patch_embeds.append(PatchEmbedding(before, channels, patch))
            local = Block(channels, LocalAttention(channels, heads))
            self.blocks.append(nn.ModuleList((local, Block(channels, GlobalAttention(channels, heads, subsampling)))))
            self.pos_block.append(PositionConv(channels))
            before = channels
        # In the published files, though nothing reads the classifier's last norm.
        self.norm = nn.LayerNorm(1024, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        for embed, blocks, position in zip(self.patch_embeds, self.blocks, self.pos_block, strict=True):
            local, everywhere = blocks.children()
            x = everywhere(position(local(embed(x)))).permute(0, 3, 1, 2)
        return x


class TwinsEncoder(nn.Module):
    """`[B, 3, H, W]` in [-1, 1] -> `[B, 256, H/8, W/8]`."""

    def __init__(self) -> None:
        super().__init__()
        self.svt = Stages()

    def forward(self, image: Tensor) -> Tensor:
        return self.svt(image)
