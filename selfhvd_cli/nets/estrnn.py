"""ESTRNN: recurrent dense blocks with attention over five neighbouring frames.

Zhong et al., "Efficient Spatio-Temporal Recurrent Neural Network for Video Deblurring", ECCV 2020;
official repository zzh-tech/ESTRNN, configuration C80B15 (16 features, 15 blocks, GELU).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfhvd_cli.ops import checkpoint


class DenseLayer(nn.Module):
    """`[x, GELU(conv3x3(x))]`: the old channels first, `growth` new ones after them."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, growth, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        new = F.gelu(self.conv(x))
        return torch.cat((x.to(new.dtype), new), dim=1)


class ResidualDenseBlock(nn.Module):
    """Three dense layers, a 1x1 convolution back to `channels`, plus the input."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.dense_layers = nn.Sequential(*(DenseLayer(channels + i * growth, growth) for i in range(3)))
        self.conv1x1 = nn.Conv2d(channels + 3 * growth, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.change(x)

    def change(self, x: Tensor) -> Tensor:
        """What the block adds to its input."""
        return self.conv1x1(self.dense_layers(x))


class DownsamplingBlock(nn.Module):
    """A residual dense block, then a 5x5 convolution with stride 2 that doubles the channels."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.rdb = ResidualDenseBlock(channels, growth)
        self.down_sampling = nn.Conv2d(channels, 2 * channels, 5, stride=2, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_sampling(self.rdb(x))


class DenseBlockChain(nn.Module):
    """Chained residual dense blocks whose outputs are all gathered by a 1x1 and a 3x3 convolution."""

    def __init__(self, channels: int, growth: int, blocks: int) -> None:
        super().__init__()
        self.RDBs = nn.ModuleList(ResidualDenseBlock(channels, growth) for _ in range(blocks))
        self.conv1x1 = nn.Conv2d(blocks * channels, channels, 1)
        self.conv3x3 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        # Under autocast the sum of the blocks stays float32: in half precision each of them would round it again.
        x = x.float()
        outputs = []
        for block in self.RDBs:
            assert isinstance(block, ResidualDenseBlock)
            change = block.change(x)
            x = x + change
            outputs.append(x.to(change.dtype))
        return self.conv3x3(self.conv1x1(torch.cat(outputs, dim=1)))


class Cell(nn.Module):
    """The recurrent cell: features of one frame from the frame and the state."""

    float32_parts = ("F_h",)
    """Computed so under autocast, too."""

    def __init__(self, features: int, blocks: int) -> None:
        super().__init__()
        self.F_B0 = nn.Conv2d(3, features, 5, padding=2)
        self.F_B1 = DownsamplingBlock(features, features)
        self.F_B2 = DownsamplingBlock(2 * features, features * 3 // 2)
        self.F_R = DenseBlockChain(5 * features, 2 * features, blocks)
        self.F_h = nn.Sequential(
            nn.Conv2d(5 * features, features, 3, padding=1),
            ResidualDenseBlock(features, features),
            nn.Conv2d(features, features, 3, padding=1),
        )

    def forward(self, frame: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        down = self.F_B2(self.F_B1(self.F_B0(frame)))
        features = self.F_R(torch.cat((down, state), dim=1))
        # The state is handed on from frame to frame, and so would be its errors in half precision.
        with torch.autocast(frame.device.type, enabled=False):
            return features, self.F_h(features.float())


class Fusion(nn.Module):
    """Global spatio-temporal attention: neighbours, weighted channel by channel, beside the centre."""

    float32_parts = ("F_p",)
    """Whose weights are multiplied and added before they convolve."""

    def __init__(self, channels: int, neighbours: int) -> None:
        super().__init__()
        self.F_f = nn.Sequential(
            nn.Linear(2 * channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, 2 * channels), nn.Sigmoid()
        )
        self.F_p = nn.Sequential(nn.Conv2d(2 * channels, 4 * channels, 1), nn.Conv2d(4 * channels, 2 * channels, 1))
        self.condense = nn.Conv2d(2 * channels, channels, 1)
        width = (neighbours + 1) * channels
        self.fusion = nn.Conv2d(width, width, 1)

    def forward(self, centre: Tensor, neighbours: list[Tensor]) -> Tensor:
        projection, bias = self._projection()
        gathered = []
        for neighbour in neighbours:
            pair = torch.cat((centre, neighbour), dim=1)
            weight = self.F_f(pair.mean((2, 3)))[:, :, None, None]
            gathered.append(self.condense(weight * F.conv2d(pair, projection, bias)))
        return self.fusion(torch.cat((*gathered, centre), dim=1))

    def _projection(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of both convolutions of `F_p` as one.

        Nothing stands between the two, and the one is a quarter of their work.
        """
        widen, narrow = (self.F_p.get_parameter(f"{i}.weight").flatten(1) for i in range(2))
        bias = narrow @ self.F_p.get_parameter("0.bias") + self.F_p.get_parameter("1.bias")
        return (narrow @ widen)[:, :, None, None], bias


class Reconstruction(nn.Module):
    """Two transposed convolutions up to full size; predicts the frame itself, not a residual."""

    def __init__(self, channels: int, features: int) -> None:
        super().__init__()
        self.model = nn.Sequential(
            nn.ConvTranspose2d(channels, 2 * features, 3, stride=2, padding=1, output_padding=1),
            nn.ConvTranspose2d(2 * features, features, 3, stride=2, padding=1, output_padding=1),
            nn.Conv2d(features, 3, 5, padding=2),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class ESTRNN(nn.Module):
    """ESTRNN C80B15; keys as published, less the prefix `module.model.`.

    Each output frame is made from itself, two frames before and two after it, so that the first two and the
    last two frames of a clip have none.

    Args:
        checkpoint_activations: recompute each frame's activations for the gradient instead of keeping them.
    """

    lost_before = 2
    lost_after = 2

    def __init__(self, features: int = 16, blocks: int = 15, checkpoint_activations: bool = False) -> None:
        super().__init__()
        self.features = features
        self.checkpoint_activations = checkpoint_activations
        neighbours = self.lost_before + self.lost_after
        self.cell = Cell(features, blocks)
        self.recons = Reconstruction((neighbours + 1) * 5 * features, features)
        self.fusion = Fusion(5 * features, neighbours)

    def forward(self, frames: Tensor) -> Tensor:
        """Restore the inner frames of a clip.

        Args:
            frames: `[B, T, 3, H, W]`, BGR, (8-bit value - 127.5) / 255; T >= 5, H and W multiples of 4.

        Returns:
            `[B, T-4, 3, H, W]` in the same space; output j belongs to frame j + 2.

        Raises:
            ValueError: the clip is too short or H or W is no multiple of 4.
        """
        batch, count, _, height, width = frames.shape
        if count <= self.lost_before + self.lost_after or height % 4 or width % 4:
            raise ValueError(f"frames must be [B, T >= 5, 3, 4n, 4m], got {tuple(frames.shape)}")
        state = frames.new_zeros(batch, self.features, height // 4, width // 4)
        features: list[Tensor] = []
        outputs: list[Tensor] = []
        reach = self.lost_before + self.lost_after + 1
        for frame in frames.unbind(1):
            newest, state = checkpoint.call(self.cell, frame, state, recompute=self.checkpoint_activations)
            features = [*features[1 - reach :], newest]
            if len(features) == reach:
                outputs.append(checkpoint.call(self.reconstruct, *features, recompute=self.checkpoint_activations))
        return torch.stack(outputs, dim=1)

    def reconstruct(self, *features: Tensor) -> Tensor:
        """The picture `[B, 3, H, W]` in the middle of five frames' features, in time order."""
        neighbours = list(features)
        centre = neighbours.pop(self.lost_before)
        return self.recons(self.fusion(centre, neighbours))
