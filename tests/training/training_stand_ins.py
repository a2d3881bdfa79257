"""Stand-ins for training: a clip with known motion and blur, a flow that knows it, a network of a few weights."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfhvd_cli.device import Compute
from selfhvd_cli.flow.estimator import Flow
from selfhvd_cli.ops.sharpness import sharpness
from selfhvd_cli.restore.restorer import Convention, Restorer
from selfhvd_cli.training.approach import Approach
from selfhvd_cli.training.batches import Batches
from selfhvd_cli.training.config import AdaptConfig
from selfhvd_cli.training.footage import Footage, Shot
from selfhvd_cli.training.holdout import held_out_probes, withhold
from selfhvd_cli.training.objective import Objective
from selfhvd_cli.training.probes import blurry_probes
from selfhvd_cli.training.processes import Processes
from selfhvd_cli.training.sharpness import find_sharp_frames
from selfhvd_cli.training.trainer import Schedule, Trainer


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

    def __init__(self, reach: int = 9) -> None:
        self.reach = reach

    def __call__(self, source: Tensor, target: Tensor) -> Flow:
        middle = slice(self.reach, source.shape[-1] - self.reach)
        shifts = range(-self.reach, self.reach + 1)
        one, two = (x.mean(dim=1)[:, ::2] for x in (source, target))
        errors = torch.stack(
            [(one[..., middle] - two.roll(-shift, -1)[..., middle]).abs().mean(dim=(1, 2)) for shift in shifts]
        )
        vectors = torch.zeros_like(source[:, :2])
        vectors[:, 0] = (errors.argmin(dim=0) - self.reach).view(-1, 1, 1)
        return Flow(vectors, torch.ones_like(vectors[:, :1]))


class TinyNetwork(nn.Module):
    """Each frame plus a filtered version of it and of the mean of the clip; begins as the identity."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Conv2d(6, 3, 9, padding=4)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, frames: Tensor) -> Tensor:
        mean = frames.mean(dim=1, keepdim=True).expand_as(frames)
        inputs = torch.cat((frames, mean), dim=2).flatten(0, 1)
        return frames + self.last(inputs - 0.5).view_as(frames)


def tiny_restorer(seed: int = 0) -> Restorer:
    """A fresh `TinyNetwork` that begins as the identity."""
    torch.manual_seed(seed)
    return Restorer(TinyNetwork(), Convention())


def tiny_trainer(
    steps: int = 12,
    *,
    restorer: Restorer | None = None,
    check: int = 4,
    patience: int | None = None,
    processes: Processes | None = None,
    ahead: int | None = None,
    **options: Any,
) -> Trainer:
    """A trainer of a `TinyNetwork` on a small shaken clip, ready to begin."""
    sizes = {"steps": steps, "crop": 64, "sequence": 4, "batch": 2, "warmup": 1, "neighbours": 1}
    config = AdaptConfig(**{**sizes, **options})
    compute = Compute(torch.device("cpu"), torch.float32, "test")
    frames, _ = shaken_frames()
    shots = withhold([make_shot(frames)], 2)
    estimator = SearchEstimator()
    approach = Approach(estimator, compute.device)
    network = (restorer or tiny_restorer()).eval()
    batches = Batches(shots, approach, config, selects_frames=False)
    known = held_out_probes(shots, network, estimator, approach, config, compute, batches.length, 2)
    blurry = blurry_probes(shots, 2, batches.length)
    objective = Objective(estimator, None, config, compute)
    schedule = Schedule(check, patience)
    run = (config, schedule, compute, processes, ahead)
    return Trainer(network, "tiny", False, batches, objective, known, blurry, *run)
