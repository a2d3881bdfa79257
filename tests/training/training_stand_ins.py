"""Stand-ins for training: a clip with known motion and blur, a flow that knows it, a network of a few weights."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfhvd_cli.flow.estimator import Flow
from selfhvd_cli.ops.sharpness import sharpness
from selfhvd_cli.restore.restorer import Convention, Restorer
from selfhvd_cli.training.footage import Footage, Shot
from selfhvd_cli.training.sharpness import find_sharp_frames


def texture(height: int, width: int, seed: int = 0) -> Tensor:
    """`[3, H, W]`: detail at every scale, nothing that repeats."""
    generator = torch.Generator().manual_seed(seed)
    picture = torch.zeros(1, 3, height, width)
    for size in (4, 8, 16, 32):
        noise = torch.rand(1, 3, max(2, height // size * 2), max(2, width // size * 2), generator=generator)
        picture += F.interpolate(noise, size=(height, width), mode="bicubic", align_corners=False)
    return ((picture - picture.mean()) * 0.35 + 0.5).clamp(0, 1)[0]


def blurred(picture: Tensor, length: int) -> Tensor:
    """A horizontal motion blur of `[3, H, W]`."""
    padded = F.pad(picture.unsqueeze(0), (length // 2, (length - 1) // 2, 0, 0), mode="replicate")
    return F.avg_pool2d(padded, (1, length), stride=1)[0]


def shaken_frames(count: int = 16, height: int = 72, width: int = 88, step: int = 2) -> tuple[Tensor, Tensor]:
    """Recorded and sharp frames `[T, 3, H, W]`: the scene moves by `step` columns a frame, every fourth is sharp."""
    scene = texture(height, width + step * count)
    sharp = torch.stack([scene[:, :, step * i : step * i + width] for i in range(count)])
    recorded = torch.stack([frame if i % 4 == 0 else blurred(frame, 7) for i, frame in enumerate(sharp)])
    return recorded, sharp


def make_shot(frames: Tensor, withheld: tuple[int, ...] = ()) -> Shot:
    """The frames as a shot."""
    footage = Footage(*frames.shape[-2:])
    for frame in frames:
        footage.append(frame)
    return Shot(footage, 0, find_sharp_frames(sharpness(frames).tolist()), withheld)


class SearchEstimator:
    """Finds one horizontal shift for the whole picture by trying them all."""

    def __init__(self, reach: int = 12) -> None:
        self.reach = reach

    def __call__(self, source: Tensor, target: Tensor) -> Flow:
        vectors = torch.zeros(len(source), 2, *source.shape[-2:])
        middle = slice(self.reach, source.shape[-1] - self.reach)
        for row, (one, two) in enumerate(zip(source, target, strict=True)):
            errors = {
                shift: float((one[..., middle] - two.roll(-shift, -1)[..., middle]).abs().mean())
                for shift in range(-self.reach, self.reach + 1)
            }
            vectors[row, 0] = min(errors, key=lambda shift: errors[shift])
        return Flow(vectors, torch.ones_like(vectors[:, :1]))


class TinyNetwork(nn.Module):
    """Each frame plus a small correction from itself and the mean of the clip."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(6, 8, 3, padding=1)
        self.last = nn.Conv2d(8, 3, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, frames: Tensor) -> Tensor:
        mean = frames.mean(dim=1, keepdim=True).expand_as(frames)
        inputs = torch.cat((frames, mean), dim=2).flatten(0, 1)
        return frames + self.last(F.leaky_relu(self.first(inputs), 0.1)).view_as(frames)


def tiny_restorer(seed: int = 0) -> Restorer:
    """A fresh `TinyNetwork` that begins as the identity."""
    torch.manual_seed(seed)
    return Restorer(TinyNetwork(), Convention())
