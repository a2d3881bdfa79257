"""Pretrain: supervised training of the embedded network on handheld windows synthesised on the fly."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from selfhvd_cli import __version__
from selfhvd_cli.device import Compute, choose_compute
from selfhvd_cli.errors import InputFault, UsageFault
from selfhvd_cli.nets.lite import Lite, Restoration
from selfhvd_cli.nets.lite_alignment import Alignment
from selfhvd_cli.nets.lite_pictures import with_change
from selfhvd_cli.ops.blocks import half_size
from selfhvd_cli.synthesis.pool import Batch, WindowPool, read_photos, to_batch, window_at
from selfhvd_cli.training.averaging import Average
from selfhvd_cli.training.checkpoint import load_checkpoint, save_checkpoint
from selfhvd_cli.training.schedule import learning_rate
from selfhvd_cli.training.supervised import endpoint_error, flow_loss, picture_loss

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")
VALIDATION_SEED = 2**31 - 1


@dataclass(frozen=True)
class PretrainConfig:
    """Everything that decides what a training computes; saved inside its checkpoint."""

    steps: int = 20_000
    """Optimizer steps in all; the learning rate decays over them."""

    batch: int = 8
    """Windows a step."""

    crop: int = 192
    """Height and width of the windows in pixels, a multiple of 32."""

    sources: int = 3
    """Frames that help each target."""

    rate: float = 5e-4
    """Peak learning rate of AdamW."""

    flow_weight: float = 0.02
    """Weight of the flow's loss beside the picture's."""

    reuse: int = 4
    """Times each rendered window is trained on, on average."""

    cascade: float = 0.7
    """Share of the steps whose targets were restored at half their size first, as they are in use."""

    seed: int = 0
    """Decides windows, order and initial parameters."""

    def __post_init__(self) -> None:
        if self.crop % 32 or self.crop < 64:
            raise UsageFault(f"--crop {self.crop}: must be a multiple of 32, at least 64.")
        if min(self.steps, self.batch, self.sources) < 1:
            raise UsageFault("--steps, --batch and --sources must be at least 1.")


@dataclass(frozen=True)
class PretrainReport:
    """How the training stands; one every `every` steps."""

    step: int
    """Steps done."""

    steps: int
    """Steps in all."""

    picture: float
    """Mean picture loss since the last report."""

    flow: float
    """Mean flow loss since the last report."""

    gain: float
    """Mean PSNR gain over the input in training since the last report, in dB."""

    rate: float
    """Learning rate."""

    seconds: float
    """Seconds a step since the last report."""

    validation: dict[str, float] | None = None
    """On unseen photographs, where it was taken: see `validate`."""


def pretrain(
    photos: Path | Sequence[Path],
    weights: Path,
    config: PretrainConfig | None = None,
    *,
    device: str = "auto",
    precision: str = "auto",
    workers: int | None = None,
    minutes: float | None = None,
    every: int = 50,
    validate_every: int = 1000,
    start: dict[str, Tensor] | None = None,
) -> Iterator[PretrainReport]:
    """Train `Lite` and leave its averaged weights in `weights`, with a resumable checkpoint beside it.

    A checkpoint of an earlier run is continued: same windows, same order, as if it had not been interrupted.

    Args:
        photos: a folder of sharp photographs, or the pictures themselves.
        weights: safetensors file to write; `<weights>.checkpoint` is kept beside it.
        config: what to compute; on resuming, it may have more steps than before.
        workers: rendering processes; by default one less than the processors, at least one.
        minutes: stop, resumable, after this long.
        every: steps between reports.
        validate_every: steps between validations and checkpoints.
        start: parameters to begin with instead of random ones.

    Raises:
        InputFault: there are fewer than two photographs.
    """
    config = config or PretrainConfig()
    compute = choose_compute(device, precision)  # type: ignore[arg-type]
    training, unseen = _split(_pictures(photos))
    state = _State.begin(config, compute, weights.with_name(weights.name + ".checkpoint"), start)
    began = time.monotonic()
    with WindowPool(
        training,
        size=config.crop,
        count=config.sources,
        batch=config.batch,
        seed=config.seed,
        workers=workers or max(1, (os.cpu_count() or 2) - 1),
        first_step=state.step,
        reuse=config.reuse,
    ) as pool:
        marks: list[tuple[float, float, float]] = []
        stamp = time.monotonic()
        for batch in pool:
            if state.step >= config.steps:
                break
            marks.append(state.advance(batch))
            late = minutes is not None and time.monotonic() - began > 60 * minutes
            ended = late or state.step >= config.steps
            validation = None
            if state.step % validate_every == 0 or ended:
                validation = validate(state.averaged(), unseen, config, compute)
                state.save(weights, validation)
            if state.step % every == 0 or ended:
                seconds = (time.monotonic() - stamp) / len(marks)
                picture, flow, gain = (sum(column) / len(marks) for column in zip(*marks, strict=True))
                rate = state.optimizer.param_groups[0]["lr"]
                yield PretrainReport(state.step, config.steps, picture, flow, gain, rate, seconds, validation)
                marks, stamp = [], time.monotonic()
            if ended:
                break


@torch.no_grad()
def validate(network: Lite, paths: list[Path], config: PretrainConfig, compute: Compute) -> dict[str, float]:
    """PSNR of input and output (dB) and endpoint error (px) on a fixed set of windows from unseen photographs."""
    photos = read_photos(paths)
    sums: dict[str, float] = {"input": 0.0, "output": 0.0, "endpoint_error": 0.0}
    count = 24
    for index in range(count):
        window = window_at(photos, config.crop, config.sources, VALIDATION_SEED, index)
        target, sources, sharp, flows = (x.to(compute.device) for x in to_batch([window]))
        with compute.autocast():
            result = _cascade(network, target, sources)[1] if config.cascade else network.restore(target, sources)
        sums["input"] += _psnr(target, sharp)
        sums["output"] += _psnr(result.frames.float().clamp(0, 1), sharp)
        sums["endpoint_error"] += float(endpoint_error(result.alignments[-1], flows.flatten(0, 1)))
    return {name: total / count for name, total in sums.items()}


def _cascade(network: Lite, target: Tensor, sources: Tensor) -> tuple[Restoration, Restoration]:
    """The target restored at half its size, then, with what that changed, at its own; each is trained by itself."""
    half = network.restore_half(target, sources)
    seen = with_change(target, half_size(target), half.frames.detach())
    start = Alignment(*(part.detach() for part in half.alignments[-1]))
    return half, network.restore(seen, sources, start, target)


@dataclass
class _State:
    """Network, average and optimizer of a running training."""

    config: PretrainConfig
    compute: Compute
    checkpoint: Path
    network: Lite
    average: Average
    optimizer: torch.optim.Optimizer
    step: int = 0

    @staticmethod
    def begin(config: PretrainConfig, compute: Compute, checkpoint: Path, start: dict[str, Tensor] | None) -> _State:
        torch.manual_seed(config.seed)
        network = Lite(sources=config.sources)
        if start is not None:
            network.load_state_dict(start)
        network = network.to(compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer = torch.optim.AdamW(network.parameters(), lr=config.rate, betas=(0.9, 0.99), weight_decay=1e-4)
        state = _State(config, compute, checkpoint, network, Average(network), optimizer)
        if checkpoint.exists():
            state._resume(load_checkpoint(checkpoint))
        return state

    def _resume(self, saved: dict[str, Any]) -> None:
        before = PretrainConfig(**saved["config"])
        if replace(before, steps=self.config.steps, rate=self.config.rate) != self.config:
            raise InputFault(
                f"{self.checkpoint}: was made with {before}, this run asks for {self.config}; "
                "delete the checkpoint, or repeat its options (--steps and --rate may differ)."
            )
        self.network.load_state_dict(saved["network"])
        self.average.values = {key: value.to(self.compute.device) for key, value in saved["average"].items()}
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step = int(saved["step"])

    def advance(self, batch: Batch) -> tuple[float, float, float]:
        """One optimizer step; gives the picture's loss, the flow's, and the PSNR gain in dB."""
        config = self.config
        rate = learning_rate(self.step, config.steps, config.rate, warmup=200, floor=config.rate * 0.01)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        target, sources, sharp, flows = (x.to(self.compute.device, non_blocking=True) for x in batch)
        rng = np.random.default_rng((config.seed, self.step, 2))
        if rng.random() < 0.5 and config.sources > 2:
            # The network must do with fewer sources, too: clips end, and scenes are cut.
            sources, flows = sources[:, :-1], flows[:, :-1]
        with self.compute.autocast():
            if rng.random() < config.cascade:
                half, result = _cascade(self.network, target, sources)
            else:
                half, result = None, self.network.restore(target, sources)
        picture = picture_loss(result.frames, sharp)
        flow = flow_loss(result.alignments, flows.flatten(0, 1))
        if half is not None:
            picture = picture + picture_loss(half.frames, half_size(sharp))
            flow = flow + flow_loss(half.alignments, flows.flatten(0, 1))
        self.optimizer.zero_grad(set_to_none=True)
        (picture + config.flow_weight * flow).backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 0.5)
        self.optimizer.step()
        self.average.update(self.network, self.step)
        self.step += 1
        gain = _psnr(result.frames.detach().float(), sharp) - _psnr(target, sharp)
        return float(picture.detach()), float(flow.detach()), gain

    def averaged(self) -> Lite:
        """The averaged network."""
        network = Lite(sources=self.config.sources)
        network.load_state_dict(self.average.values)
        return network.to(self.compute.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    def save(self, weights: Path, validation: dict[str, float]) -> None:
        save_checkpoint(
            self.checkpoint,
            {
                "config": asdict(self.config),
                "network": self.network.state_dict(),
                "average": self.average.values,
                "optimizer": self.optimizer.state_dict(),
                "step": self.step,
            },
        )
        save_weights(weights, self.average.values, self.config, self.step, validation)


def save_weights(
    path: Path, values: dict[str, Tensor], config: PretrainConfig, step: int, validation: dict[str, float]
) -> None:
    """Half-precision safetensors with their provenance, by rename."""
    metadata = {
        "architecture": "lite",
        "version": __version__,
        "config": json.dumps(asdict(config)),
        "step": str(step),
        "validation": json.dumps({name: round(value, 3) for name, value in validation.items()}),
    }
    part = path.with_name(path.name + ".part")
    save_file({key: value.half().cpu().contiguous() for key, value in values.items()}, part, metadata=metadata)
    os.replace(part, path)


def _pictures(photos: Path | Sequence[Path]) -> list[Path]:
    if not isinstance(photos, Path):
        return list(photos)
    if not photos.is_dir():
        raise InputFault(f"{photos}: no such folder of photographs.")
    return sorted(path for path in photos.rglob("*") if path.suffix.lower() in PICTURES)


def _split(paths: list[Path]) -> tuple[list[Path], list[Path]]:
    """Photographs to train on, and every 20th to validate on."""
    if len(paths) < 2:
        raise InputFault(f"found {len(paths)} photographs, training needs at least 2 (jpg, png, webp, tiff or bmp).")
    unseen = paths[::20]
    return [path for path in paths if path not in set(unseen)], unseen


def _psnr(picture: Tensor, truth: Tensor) -> float:
    """Mean over the batch, in dB."""
    error = (picture - truth).square().flatten(1).mean(1).clamp(min=1e-10)
    return float((-10.0 * torch.log10(error)).mean())
