"""Pretrain: supervised training of the embedded network on handheld windows synthesised on the fly."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from selfhvd_cli.allotment import processors
from selfhvd_cli.counting import counted
from selfhvd_cli.device import Compute, Precision
from selfhvd_cli.durable import only_one
from selfhvd_cli.errors import InputFault, UsageFault
from selfhvd_cli.nets.lite import Lite
from selfhvd_cli.synthesis.photographs import photographs_in
from selfhvd_cli.synthesis.pool import WindowPool, read_photos, to_batch, window_at
from selfhvd_cli.training.compute import training_compute
from selfhvd_cli.training.origin import Origin
from selfhvd_cli.training.pretrain_config import PretrainConfig
from selfhvd_cli.training.pretraining import Pretraining, cascade, mean_psnr
from selfhvd_cli.training.supervised import endpoint_error

VALIDATION_SEED = 2**31 - 1

KEEP_EVERY = 300.0
"""Seconds of work that an interruption costs at most."""


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
    photos: str | Path | Sequence[str | Path],
    weights: str | Path,
    config: PretrainConfig | None = None,
    *,
    device: str = "auto",
    precision: Precision = "auto",
    workers: int | None = None,
    minutes: float | None = None,
    every: int = 50,
    validate_every: int = 1000,
    start: dict[str, Tensor] | None = None,
    overwrite: bool = False,
    on_progress: Callable[[PretrainReport], object] | None = None,
) -> PretrainReport | None:
    """Train the embedded network; the twin of `selfhvd pretrain`. Arguments and faults: `pretrain_steps`.

    Returns:
        The last report; None where the weights had all their steps already.
    """
    pictures = Path(photos) if isinstance(photos, (str, Path)) else [Path(photo) for photo in photos]
    steps = pretrain_steps(
        pictures, Path(weights), config, device=device, precision=precision, workers=workers, minutes=minutes,
        every=every, validate_every=validate_every, start=start, overwrite=overwrite,
    )  # fmt: skip
    last = None
    with closing(steps):
        for last in steps:
            if on_progress is not None:
                on_progress(last)
    return last


def pretrain_steps(
    photos: Path | Sequence[Path],
    weights: Path,
    config: PretrainConfig | None = None,
    *,
    device: str = "auto",
    precision: Precision = "auto",
    workers: int | None = None,
    minutes: float | None = None,
    every: int = 50,
    validate_every: int = 1000,
    start: dict[str, Tensor] | None = None,
    overwrite: bool = False,
) -> Generator[PretrainReport, None, None]:
    """Train `Lite` and leave its averaged weights in `weights`, with a resumable checkpoint beside it.

    A checkpoint of an earlier run is continued: same windows, same order, as if it had not been interrupted; it is so
    only with the photographs and the parameters that it began with.

    Args:
        photos: a folder of sharp photographs, or the pictures themselves.
        weights: safetensors file to write; `<weights>.checkpoint` is kept beside it.
        config: what to compute; on resuming, it may have more steps than before.
        workers: rendering processes; by default one less than the processors, at least one.
        minutes: stop, resumable, after this long.
        every: steps between reports.
        validate_every: steps between validations, each with weights to look at; checkpoints come in between, too.
        start: parameters to begin with instead of random ones.
        overwrite: whether other weights, or the checkpoint of another training, give way.

    Raises:
        InputFault: there are fewer than two photographs, one cannot be read, or the checkpoint is of another
            training.
        UsageFault: another process trains the same weights, or they exist and `overwrite` is off.
        WeightsFault: `start` are parameters of another network.
        EnvironmentFault: the device is not here, or computes wrongly.
        DiskFault: weights or checkpoint cannot be written.
    """
    config = config or PretrainConfig()
    compute = training_compute(device, precision)
    checkpoint = weights.with_name(weights.name + ".checkpoint")
    if weights.exists() and not checkpoint.exists() and not overwrite:
        raise UsageFault(
            f"{weights}: exists already, with no checkpoint to go on from; name others with -o, or use --overwrite."
        )
    training, unseen = _split(_pictures(photos))
    origin = Origin.of([*training, *unseen], start)
    with ExitStack() as stack:
        weights.parent.mkdir(parents=True, exist_ok=True)
        if not stack.enter_context(only_one(weights.with_name(weights.name + ".lock"))):
            raise UsageFault(f"{weights}: another selfhvd trains these weights; wait, or name others with -o.")
        state = Pretraining.begin(config, compute, checkpoint, start, origin, overwrite)
        began = time.monotonic()
        pool = stack.enter_context(
            WindowPool(
                training,
                size=config.crop,
                count=config.sources,
                batch=config.batch,
                seed=config.seed,
                workers=workers or max(1, processors() - 1),
                first_step=state.step,
                reuse=config.reuse,
            )
        )
        marks: list[tuple[float, float, float]] = []
        stamp = kept = time.monotonic()
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
                kept = time.monotonic()
            elif time.monotonic() - kept > KEEP_EVERY:
                state.keep()
                kept = time.monotonic()
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
    """Means over a fixed set of windows from unseen photographs: PSNR of the input, of what the network makes of it
    at its own size and (`cascade`) halved as often as a long blur is, in dB; endpoint error of the first, in px."""
    photos = read_photos(paths)
    sums: dict[str, float] = {"input": 0.0, "output": 0.0, "cascade": 0.0, "endpoint_error": 0.0}
    count = 24
    for index in range(count):
        window = window_at(photos, config.crop, config.sources, VALIDATION_SEED, index)
        target, sources, sharp, flows = (x.to(compute.device) for x in to_batch([window]))
        with compute.autocast():
            plain, halved = (cascade(network, target, sources, halvings)[-1] for halvings in (0, config.halvings))
        sums["input"] += mean_psnr(target, sharp)
        sums["output"] += mean_psnr(plain.frames.float().clamp(0, 1), sharp)
        sums["cascade"] += mean_psnr(halved.frames.float().clamp(0, 1), sharp)
        sums["endpoint_error"] += float(endpoint_error(plain.alignments[-1], flows.flatten(0, 1)))
    return {name: total / count for name, total in sums.items()}


def _pictures(photos: Path | Sequence[Path]) -> list[Path]:
    if not isinstance(photos, Path):
        return list(dict.fromkeys(photos))
    if not photos.is_dir():
        raise InputFault(f"{photos}: no such folder of photographs.")
    return photographs_in(photos)


def _split(paths: list[Path]) -> tuple[list[Path], list[Path]]:
    """Photographs to train on, and every 20th to validate on."""
    if len(paths) < 2:
        raise InputFault(
            f"found {counted(len(paths), 'photograph')}, training needs at least 2 (jpg, png, webp, tiff or bmp)."
        )
    unseen = paths[::20]
    return [path for path in paths if path not in set(unseen)], unseen
