"""IFIRNN: a recurrent network that refines its hidden state several times within each frame.

Nah, Son and Lee, "Recurrent Neural Networks with Intra-Frame Iterations for Video Deblurring", CVPR 2019, in the form
that zzh-tech/ESTRNN publishes (C2H3: two cells, three iterations of the second).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from selfhvd_cli.ops import checkpoint


class ResidualBlock(nn.Module):
    """conv3x3, ReLU, conv3x3, plus the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.main_branch = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.main_branch(x)


class Cell(nn.Module):
    """Features from a frame and the state, and from them the next state and, in the second cell, the picture."""

    def __init__(self, features: int, blocks: int, draws: bool) -> None:
        super().__init__()
        self.F_B = nn.Sequential(
            nn.Conv2d(3, features, 5, padding=2),
            nn.Conv2d(features, 2 * features, 5, stride=2, padding=2),
            nn.Conv2d(2 * features, 3 * features, 5, stride=2, padding=2),
        )
        self.F_R = nn.Sequential(*(ResidualBlock(4 * features) for _ in range(blocks)))
        if draws:
            self.F_L = nn.Sequential(
                nn.ConvTranspose2d(4 * features, 2 * features, 3, stride=2, padding=1, output_padding=1),
                nn.ConvTranspose2d(2 * features, features, 3, stride=2, padding=1, output_padding=1),
                nn.Conv2d(features, 3, 5, padding=2),
            )
        self.F_h = nn.Sequential(
            nn.Conv2d(4 * features, features, 3, padding=1),
            ResidualBlock(features),
            nn.Conv2d(features, features, 3, padding=1),
        )

    def mix(self, down: Tensor, state: Tensor) -> Tensor:
        """Joint features of the frame's features `down` and the state."""
        return self.F_R(torch.cat((down, state), dim=1))


class IFIRNN(nn.Module):
    """IFIRNN C2H3; keys as in zzh-tech/ESTRNN.

    Args:
        checkpoint_activations: recompute each frame's activations for the gradient instead of keeping them.
    """

    def __init__(
        self, features: int = 20, blocks: int = 6, iterations: int = 3, checkpoint_activations: bool = False
    ) -> None:
        super().__init__()
        self.features = features
        self.iterations = iterations
        self.checkpoint_activations = checkpoint_activations
        self.rnncell0 = Cell(features, blocks, draws=False)
        self.rnncell1 = Cell(features, blocks, draws=True)

    def forward(self, frames: Tensor) -> Tensor:
        """Restore every frame of a clip, forward in time.

        Args:
            frames: `[B, T, 3, H, W]`, BGR, (8-bit value - 127.5) / 255; T >= 1, H and W multiples of 4.

        Returns:
            `[B, T, 3, H, W]` in the same space.

        Raises:
            ValueError: H or W is no multiple of 4.
        """
        batch, _, _, height, width = frames.shape
        if height % 4 or width % 4:
            raise ValueError(f"frames must be [B, T, 3, 4n, 4m], got {tuple(frames.shape)}")
        state = frames.new_zeros(batch, self.features, height // 4, width // 4)
        outputs = []
        for frame in frames.unbind(1):
            picture, state = checkpoint.call(self.restore, frame, state, recompute=self.checkpoint_activations)
            outputs.append(picture)
        return torch.stack(outputs, dim=1)

    def restore(self, frame: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """One frame: the picture and the state for the next frame."""
        first, second = self.rnncell0, self.rnncell1
        state = first.F_h(first.mix(first.F_B(frame), state))
        # The iterations see the same frame, so its features are made once; only the last one's picture is wanted.
        down = second.F_B(frame)
        for _ in range(self.iterations):
            features = second.mix(down, state)
            state = second.F_h(features)
        return second.F_L(features), state
