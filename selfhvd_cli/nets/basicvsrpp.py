"""BasicVSR++ for deblurring: second-order grid propagation with flow-guided deformable alignment.

Chan et al., "BasicVSR++: Improving Video Super-Resolution with Enhanced Propagation and Alignment", CVPR 2022, and
"On the Generalization of BasicVSR++ to Video Deblurring and Denoising", 2022; official repository
ckkelvinchan/BasicVSR_PlusPlus, the configuration of its deblurring models (64 channels, 15 blocks, full-size input).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfhvd_cli.nets.spynet import SPyNet
from selfhvd_cli.ops import checkpoint
from selfhvd_cli.ops.deform_conv import deform_conv2d
from selfhvd_cli.ops.warp import warp

BRANCHES = ("backward_1", "forward_1", "backward_2", "forward_2")
"""The propagation branches in the order in which they run; each reads the results of those before it."""

SLOPE = 0.1
"""Of every LeakyReLU."""


class ResidualBlock(nn.Module):
    """conv3x3, ReLU, conv3x3, plus the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        # Small at first, so that long chains of blocks start near the identity.
        for conv in (self.conv1, self.conv2):
            nn.init.kaiming_normal_(conv.weight)
            with torch.no_grad():
                conv.weight.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.relu(self.conv1(x), inplace=True))


class BlockChain(nn.Module):
    """A convolution to `channels` with LeakyReLU, then residual blocks."""

    def __init__(self, channels_in: int, channels: int, blocks: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(channels_in, channels, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks))),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x)


class Upsample(nn.Module):
    """conv3x3 to four times the channels, then pixel shuffle to twice the size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.upsample_conv = nn.Conv2d(channels, 4 * channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.upsample_conv(x), 2)


class SecondOrderAlignment(nn.Module):
    """Deformable convolution over the two previous features, its offsets being residues to the flows.

    Args:
        channels: of each feature.
        max_residue: largest distance, in pixels, by which an offset can leave the flow.
    """

    groups = 16
    """Offset groups: the first half moves the previous feature, the second half the one before it."""

    def __init__(self, channels: int, max_residue: float) -> None:
        super().__init__()
        self.max_residue = max_residue
        self.weight = nn.Parameter(torch.empty(channels, 2 * channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        last = nn.Conv2d(channels, 3 * 9 * self.groups, 3, padding=1)
        # Training starts from the flow alone, with every tap half open.
        nn.init.zeros_(last.weight)
        assert last.bias is not None
        nn.init.zeros_(last.bias)
        self.conv_offset = nn.Sequential(
            nn.Conv2d(3 * channels + 4, channels, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            last,
        )

    def forward(self, current: Tensor, previous: Sequence[Tensor], flows: Sequence[Tensor]) -> Tensor:
        """Align the two previous features with the current frame.

        Args:
            current: features of the current frame `[B, C, h, w]`.
            previous: features one and two steps back, `[B, C, h, w]` each.
            flows: from the current frame to those two, `[B, 2, h, w]` each.

        Returns:
            `[B, C, h, w]`.
        """
        warped = [warp(feature, flow, padding="zeros") for feature, flow in zip(previous, flows, strict=True)]
        condition = torch.cat((warped[0], current, warped[1], *flows), dim=1)
        first, second, mask = self.conv_offset(condition).float().chunk(3, dim=1)
        residue = self.max_residue * torch.tanh(torch.cat((first, second), dim=1))
        # Offsets are (dy, dx) and one flow serves all taps of its half of the groups.
        guide = torch.stack(tuple(flows), dim=1).flip(2).unsqueeze(2)
        offset = (residue.unflatten(1, (2, -1, 2)) + guide).flatten(1, 3)
        return deform_conv2d(torch.cat(tuple(previous), dim=1), offset, mask.sigmoid(), self.weight, self.bias)


class BasicVSRPlusPlus(nn.Module):
    """BasicVSR++ of the deblurring models; keys as published, less the prefix `generator.`.

    Nothing is remembered between calls. (The official module keeps a flag from the first palindromic clip it meets
    and then takes reversed backward flows for forward ones in every later clip.)

    Args:
        channels: of all features.
        blocks: residual blocks of each propagation branch.
        max_residue: largest distance, in pixels at 1/4 size, between deformable offsets and the flow.
        checkpoint_activations: recompute each step's activations for the gradient instead of keeping them.
    """

    def __init__(
        self, channels: int = 64, blocks: int = 15, max_residue: float = 10.0, checkpoint_activations: bool = False
    ) -> None:
        super().__init__()
        self.checkpoint_activations = checkpoint_activations
        self.spynet = SPyNet()
        self.feat_extract = nn.Sequential(
            nn.Conv2d(3, channels, 3, stride=2, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(channels, channels, 3, stride=2, padding=1),
            nn.LeakyReLU(SLOPE),
            BlockChain(channels, channels, 5),
        )
        self.deform_align = nn.ModuleDict({name: SecondOrderAlignment(channels, max_residue) for name in BRANCHES})
        self.backbone = nn.ModuleDict(
            {name: BlockChain((2 + i) * channels, channels, blocks) for i, name in enumerate(BRANCHES)}
        )
        self.reconstruction = BlockChain(5 * channels, channels, 5)
        self.upsample1 = Upsample(channels)
        self.upsample2 = Upsample(channels)
        self.conv_hr = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_last = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, frames: Tensor) -> Tensor:
        """Restore every frame of a clip.

        Args:
            frames: `[B, T, 3, H, W]`, RGB in [0, 1]; T >= 1, H and W multiples of 4. The published weights were
                trained, and the official module runs, at 256 and above.

        Returns:
            `[B, T, 3, H, W]`, the frames plus the network's correction, unclamped.

        Raises:
            ValueError: H or W is no multiple of 4.
        """
        if frames.shape[-2] % 4 or frames.shape[-1] % 4:
            raise ValueError(f"frames must be [B, T, 3, 4n, 4m], got {tuple(frames.shape)}")
        backward, forward = (flows.unbind(1) for flows in self.compute_flow(frames))
        # gathered[t]: everything known of frame t, first its own features, then each branch's.
        gathered = [[self._call(self.feat_extract, frame)] for frame in frames.unbind(1)]
        for name in BRANCHES:
            if name.startswith("backward"):
                self.propagate(name, gathered[::-1], backward[::-1])
            else:
                self.propagate(name, gathered, forward)
        outputs = [
            self._call(self.reconstruct, frame, *features)
            for frame, features in zip(frames.unbind(1), gathered, strict=True)
        ]
        return torch.stack(outputs, dim=1)

    def compute_flow(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Flow between neighbouring frames at 1/4 size.

        Returns:
            (backward, forward), `[B, T-1, 2, H/4, W/4]` each, (dx, dy) in pixels of the 1/4 size: backward[:, t] is
            where frame t's pixels lie in frame t+1, forward[:, t] where frame t+1's lie in frame t.
        """
        batch, count, _, height, width = frames.shape
        size = (height // 4, width // 4)
        if count == 1:
            none = frames.new_zeros(batch, 0, 2, *size)
            return none, none
        small = F.interpolate(frames.flatten(0, 1), scale_factor=0.25, mode="bicubic", align_corners=False)
        small = small.view(batch, count, 3, *size)
        earlier, later = small[:, :-1].flatten(0, 1), small[:, 1:].flatten(0, 1)
        shape = (batch, count - 1, 2, *size)
        return self.spynet(earlier, later).view(shape), self.spynet(later, earlier).view(shape)

    def propagate(self, name: str, gathered: Sequence[list[Tensor]], flows: Sequence[Tensor]) -> None:
        """Run one branch over the frames and append its feature to what is known of each.

        Args:
            name: of the branch.
            gathered: per frame, in running order, its features so far, `[B, C, h, w]` each.
            flows: `[B, 2, h, w]` each, in running order: flows[i] leads from frame i+1 back to frame i.
        """
        done: list[Tensor] = []
        for i, features in enumerate(gathered):
            # Copies, because the lists go on growing while a checkpointed step waits to be recomputed.
            previous, steps = tuple(done[:-3:-1]), tuple(flows[max(i - 2, 0) : i][::-1])
            done.append(self._call(self.propagate_step, name, tuple(features), previous, steps))
        for features, feature in zip(gathered, done, strict=True):
            features.append(feature)

    def propagate_step(
        self, name: str, features: Sequence[Tensor], previous: Sequence[Tensor], steps: Sequence[Tensor]
    ) -> Tensor:
        """One frame of one branch.

        Args:
            features: what is known of the frame.
            previous: the branch's features one and two steps back, as far as there are any.
            steps: flow to the previous frame, and from that to the one before it, as far as there are any.
        """
        current = features[0]
        aligned = torch.zeros_like(current)
        if previous:
            nothing = torch.zeros_like(previous[0])
            flows = [steps[0], torch.zeros_like(steps[0])]
            if len(steps) == 2:
                flows[1] = steps[0] + warp(steps[1], steps[0], padding="zeros")
            aligned = self.deform_align[name](current, [*previous, nothing][:2], flows)
        return aligned + self.backbone[name](torch.cat((*features, aligned), dim=1))

    def reconstruct(self, frame: Tensor, *features: Tensor) -> Tensor:
        """The restored picture `[B, 3, H, W]` from a frame and everything known of it."""
        x = self.reconstruction(torch.cat(features, dim=1))
        x = F.leaky_relu(self.upsample1(x), SLOPE)
        x = F.leaky_relu(self.upsample2(x), SLOPE)
        x = F.leaky_relu(self.conv_hr(x), SLOPE)
        return frame + self.conv_last(x)

    def _call(self, function: Callable[..., Tensor], *inputs: object) -> Tensor:
        return checkpoint.call(function, *inputs, recompute=self.checkpoint_activations)
