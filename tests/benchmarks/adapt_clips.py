"""Clips for the benchmark of `adapt`, and what a network gains on them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from selfhvd_cli.adapt_network import adapt
from selfhvd_cli.adaptation.clips import contrast
from selfhvd_cli.adaptation.job import AdaptReport
from selfhvd_cli.device import choose_compute
from selfhvd_cli.ops.displacement import displacement
from selfhvd_cli.ops.sharpness import sharpness
from selfhvd_cli.restore.load import load_restorer, weights_reference
from selfhvd_cli.restore.restorer import Restorer
from selfhvd_cli.synthesis.clips import SHARP_EXTENT, draw_clip
from selfhvd_cli.synthesis.pool import read_photos
from selfhvd_cli.training.inspection import EVEN
from selfhvd_cli.training.sharpness import find_sharp_frames
from selfhvd_cli.weights.store import resolve


@dataclass(frozen=True)
class Size:
    """How large a benchmark is."""

    clips: int
    height: int
    width: int
    frames: int
    steps: int
    scratch_steps: int
    severity: float
    options: dict[str, Any]
    scratch: dict[str, Any]
    """More options for fresh parameters. The rate is for so few steps; the default is for 2000."""

    def for_scratch(self) -> Size:
        """The same for fresh parameters."""
        return dataclasses.replace(self, steps=self.scratch_steps, options=self.options | self.scratch)


FULL = Size(5, 288, 384, 60, 500, 500, 12.0, {}, {"rate": 1e-3, "first_stage": 0.6})
SMALL = Size(3, 192, 256, 32, 30, 70, 9.0, {"targets": 2, "rate": 1e-4}, {"rate": 2e-3})
QUICK = Size(2, 128, 160, 32, 60, 200, 8.0, {"crop": 96, "sequence": 5, "batch": 1, "targets": 2}, {"rate": 2e-3})


@dataclass(frozen=True)
class Clip:
    """One synthetic clip."""

    name: str
    folder: Path
    blurry: Tensor
    sharp: Tensor
    extents: np.ndarray


def make_clips(photos: Path, names: Sequence[str], size: Size, folder: Path, first: int = 0) -> list[Clip]:
    """Clips as folders of PNG frames, and their truth in memory; those that `adapt` would refuse are passed over."""
    clips: list[Clip] = []
    for number in range(first, first + 8 * size.clips):
        if len(clips) == size.clips:
            break
        name = names[number % len(names)]
        drawn = draw_clip(
            read_photos([photos / name]), (size.height, size.width), size.frames, 9000 + number,
            severity=size.severity, things=0,
        )  # fmt: skip
        frames = [drawn.frame(index) for index in range(size.frames)]
        recorded = torch.stack([torch.from_numpy(frame.blurry).permute(2, 0, 1) for frame in frames]).float() / 255
        if contrast(find_sharp_frames(sharpness(recorded).tolist())) > EVEN:
            continue
        place = folder / f"clip{number}"
        place.mkdir()
        for index, frame in enumerate(frames):
            cv2.imwrite(str(place / f"{index:04d}.png"), frame.blurry[..., ::-1])
        truth = torch.stack([torch.from_numpy(frame.sharp).permute(2, 0, 1) for frame in frames]).float() / 255
        clips.append(Clip(name, place, recorded, truth, np.array([frame.extent for frame in frames])))
    return clips


@torch.no_grad()
def gains(restorer: Restorer | None, clip: Clip, window: int = 9) -> dict[str, float]:
    """PSNR over the input in dB (all frames, blurry and sharp ones), displacement in px, mean sharpness.

    Blurry is a frame with more than `SHARP_EXTENT` of blur. `shift` is against the input, `moved` against the truth.
    """
    compute = choose_compute("auto", "auto")
    count = len(clip.blurry)
    outputs = []
    for start in range(0, count, window):
        first, last = max(0, start - 6), min(count, start + window + 6)
        keep = slice(start - first, min(start + window, count) - first)
        given = clip.blurry[first:last]
        if restorer is not None:
            with compute.autocast():
                given = restorer(given.unsqueeze(0).to(compute.device), keep)[0].float().clamp(0, 1).cpu()
        else:
            given = given[keep]
        outputs.append(given)
    output = torch.cat(outputs)
    gain = psnr(output, clip.sharp) - psnr(clip.blurry, clip.sharp)
    blurry = torch.from_numpy(clip.extents > SHARP_EXTENT)
    return {
        "all": float(gain.mean()),
        "blurry": float(gain[blurry].mean()),
        "sharp": float(gain[~blurry].mean()),
        "shift": float(displacement(output, clip.blurry).mean()),
        "moved": float(displacement(output, clip.sharp).mean()),
        "sharpness": float(sharpness(output).mean()),
    }


def psnr(pictures: Tensor, truth: Tensor) -> Tensor:
    return -10 * torch.log10((pictures - truth).square().mean(dim=(1, 2, 3)).clamp(min=1e-10))


def loaded(model: str, weights: str | None) -> Restorer:
    reference = weights_reference(model, weights)
    device = choose_compute("auto", "auto").device
    return load_restorer(model, reference, resolve(reference), device).restorer


def adapted(clip: Clip, folder: Path, size: Size, init: str | None, **options: Any) -> tuple[Restorer, AdaptReport]:
    model = options.pop("model", "lite")
    target = folder / f"{clip.folder.name}-{len(list(folder.glob('*.safetensors')))}.safetensors"
    given = {"steps": size.steps, **size.options, **options}
    report = adapt(clip.folder, target, model=model, init=init, patience=None, **given)
    return loaded(model, str(target)), report


def line(name: str, values: dict[str, float], note: str = "") -> None:
    cells = " ".join(f"{key} {value:+8.3f}" for key, value in values.items())
    print(f"{name:34s} {cells} {note}", flush=True)


def mean(found: Sequence[dict[str, float]]) -> dict[str, float]:
    return {key: float(np.mean([each[key] for each in found])) for key in found[0]}
