"""FlowFormer++'s decoder: a recurrent update that reads the cost memory and the costs around the present flow."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfhvd_cli.nets.flowformerpp.attention import TokenLayer, position_code
from selfhvd_cli.nets.flowformerpp.cost_memory import CHANNELS as MEMORY_CHANNELS
from selfhvd_cli.ops.all_pairs import convex_upsample, lookup_window, positions_of

CHANNELS = 128
"""Of the recurrent state, the context and the motion features."""

QUERY = 64
"""Channels of what a place asks of its cost memory."""

RADIUS = 4


class MotionEncoder(nn.Module):
    """RAFT's: costs and flow -> `[B, 128, h, w]`, whose last two channels are the flow."""

    def __init__(self, cost_channels: int) -> None:
        super().__init__()
        self.convc1 = nn.Conv2d(cost_channels, 256, 1)
        self.convc2 = nn.Conv2d(256, 192, 3, padding=1)
        self.convf1 = nn.Conv2d(2, 128, 7, padding=3)
        self.convf2 = nn.Conv2d(128, 64, 3, padding=1)
        self.conv = nn.Conv2d(256, CHANNELS - 2, 3, padding=1)

    def forward(self, flow: Tensor, costs: Tensor) -> Tensor:
        matched = F.relu(self.convc2(F.relu(self.convc1(costs))))
        moved = F.relu(self.convf2(F.relu(self.convf1(flow))))
        joined = F.relu(self.conv(torch.cat((matched, moved), dim=1)))
        return torch.cat((joined, flow.to(joined.dtype)), dim=1)


class SeparableGRU(nn.Module):
    """RAFT's gated unit with 1x5 and then 5x1 convolutions."""

    def __init__(self, channels: int, inputs: int) -> None:
        super().__init__()
        for step, kernel in (("1", (1, 5)), ("2", (5, 1))):
            padding = (kernel[0] // 2, kernel[1] // 2)
            for gate in ("convz", "convr", "convq"):
                self.add_module(gate + step, nn.Conv2d(channels + inputs, channels, kernel, padding=padding))

    def forward(self, state: Tensor, inputs: Tensor) -> Tensor:
        for step in ("1", "2"):
            both = torch.cat((state, inputs), dim=1)
            update = torch.sigmoid(self.get_submodule("convz" + step)(both))
            reset = torch.sigmoid(self.get_submodule("convr" + step)(both))
            new = torch.tanh(self.get_submodule("convq" + step)(torch.cat((reset * state, inputs), dim=1)))
            state = (1 - update) * state + update * new
        return state


class FlowHead(nn.Module):
    """State -> correction of the flow."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(CHANNELS, 256, 3, padding=1)
        self.conv2 = nn.Conv2d(256, 2, 3, padding=1)

    def forward(self, state: Tensor) -> Tensor:
        return self.conv2(F.relu(self.conv1(state)))


class Aggregator(nn.Module):
    """motion + gamma attention(motion), for places that look alike move alike (GMA, Jiang et al., ICCV 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.to_v = nn.Conv2d(CHANNELS, CHANNELS, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, similarity: Tensor, motion: Tensor) -> Tensor:
        values = self.to_v(motion).flatten(2).transpose(1, 2)
        gathered = torch.matmul(similarity.to(values.dtype), values).transpose(1, 2).view_as(motion)
        return motion + self.gamma * gathered


class UpdateBlock(nn.Module):
    """Context, costs and flow -> new state, correction of the flow."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = MotionEncoder(QUERY + (2 * RADIUS + 1) ** 2)
        self.gru = SeparableGRU(CHANNELS, 3 * CHANNELS)
        self.flow_head = FlowHead()
        self.mask = nn.Sequential(nn.Conv2d(CHANNELS, 256, 3, padding=1), nn.ReLU(), nn.Conv2d(256, 9 * 8 * 8, 1))
        self.aggregator = Aggregator()

    def forward(
        self, state: Tensor, context: Tensor, costs: Tensor, flow: Tensor, similarity: Tensor
    ) -> tuple[Tensor, Tensor]:
        motion = self.encoder(flow, costs)
        state = self.gru(state, torch.cat((context, motion, self.aggregator(similarity, motion)), dim=1))
        return state, self.flow_head(state)


class RelativePositions(nn.Module):
    """Tables that GMA could add to the similarity; in the published files, read by nothing here."""

    rel_ind: Tensor

    def __init__(self, reach: int = 160) -> None:
        super().__init__()
        self.rel_height = nn.Embedding(2 * reach - 1, CHANNELS)
        self.rel_width = nn.Embedding(2 * reach - 1, CHANNELS)
        place = torch.arange(reach)
        self.register_buffer("rel_ind", place.view(1, -1) - place.view(-1, 1) + reach - 1)


class Similarity(nn.Module):
    """How much each place of the context is like each other: `[B, C, h, w]` -> `[B, h w, h w]`, rows sum to 1."""

    def __init__(self) -> None:
        super().__init__()
        self.to_qk = nn.Conv2d(CHANNELS, 2 * CHANNELS, 1, bias=False)
        self.pos_emb = RelativePositions()

    def forward(self, context: Tensor) -> Tensor:
        query, key = self.to_qk(context).flatten(2).chunk(2, dim=1)
        return torch.matmul(CHANNELS**-0.5 * query.transpose(1, 2), key).softmax(dim=-1)


class MemoryDecoder(nn.Module):
    """Cost memory and context -> flow."""

    def __init__(self, iterations: int = 12) -> None:
        super().__init__()
        self.iterations = iterations
        window = (2 * RADIUS + 1) ** 2
        self.flow_token_encoder = nn.Sequential(nn.Conv2d(window, QUERY, 1), nn.GELU(), nn.Conv2d(QUERY, QUERY, 1))
        # Of the pretraining by masked costs; in the published files, read by nothing here.
        self.pretrain_head = nn.Sequential(
            nn.Conv2d(QUERY, 128, 1), nn.GELU(), nn.Conv2d(128, 128, 1), nn.GELU(), nn.Conv2d(128, 225, 1)
        )
        self.proj = nn.Conv2d(256, 2 * CHANNELS, 1)
        self.decoder_layer = nn.ModuleDict({"cross_attend": TokenLayer(QUERY, MEMORY_CHANNELS)})
        self.update_block = UpdateBlock()
        self.att = Similarity()

    def forward(self, maps: Tensor, memory: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Flow at full size and at 1/8 of it, each in its own pixels.

        Args:
            maps: costs `[B, h, w, h, w]`.
            memory: `[B, h, w, 8, 128]`.
            context: `[B, 256, h, w]`.
        """
        state, context = self.proj(context).split(CHANNELS, dim=1)
        state, context = torch.tanh(state), torch.relu(context)
        similarity = self.att(context)
        layer = self.decoder_layer["cross_attend"]
        assert isinstance(layer, TokenLayer)
        key, value = layer.k(memory), layer.v(memory)
        flat = maps.flatten(0, 2).unsqueeze(1)
        base = positions_of(state)
        flow = torch.zeros_like(base)
        for _ in range(self.iterations):
            position = (base + flow).permute(0, 2, 3, 1)
            near = lookup_window(flat, position.reshape(-1, 2), RADIUS).view(*position.shape[:3], -1)
            near = near.permute(0, 3, 1, 2)
            token = self.flow_token_encoder(near).permute(0, 2, 3, 1).unsqueeze(3)
            code = position_code(position, QUERY).unsqueeze(3)
            query = layer.q(layer.norm1(token) + code.to(token.dtype))
            far = layer.merge(token, query, key, value).squeeze(3).permute(0, 3, 1, 2)
            costs = torch.cat((far, near.to(far.dtype)), dim=1)
            state, step = self.update_block(state, context, costs, flow, similarity)
            flow = flow + step.float()
        return convex_upsample(8.0 * flow, 0.25 * self.update_block.mask(state)), flow
