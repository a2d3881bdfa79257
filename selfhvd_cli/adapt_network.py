"""Adapt: SelfHVD's training on the user's own clips, with nothing but the clips."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

from selfhvd_cli.adaptation.clips import gather
from selfhvd_cli.adaptation.job import AdaptJob, AdaptProgress, AdaptReport, End
from selfhvd_cli.adaptation.networks import load_networks
from selfhvd_cli.adaptation.pictures import draw_pictures
from selfhvd_cli.adaptation.prepare import Run, prepare
from selfhvd_cli.adaptation.record import Log, rounded, save_weights
from selfhvd_cli.device import Compute, Precision
from selfhvd_cli.errors import UsageFault
from selfhvd_cli.moments import Moment, as_moment
from selfhvd_cli.steps import run_through
from selfhvd_cli.training.checkpoint import save_checkpoint
from selfhvd_cli.training.compute import training_compute
from selfhvd_cli.training.config import AdaptConfig
from selfhvd_cli.training.processes import processes_of_torchrun
from selfhvd_cli.training.trainer import with_values
from selfhvd_cli.video.contents import contents_sha256
from selfhvd_cli.video.opening import require_readable
from selfhvd_cli.weights.locate import adapted_folder

CHECKPOINT_SECONDS = 60.0
"""Longest time between checkpoints: where steps are slow, less work is lost."""

OPTIONS = tuple(field.name for field in fields(AdaptConfig))


def adapt(
    clips: str | Path | Sequence[str | Path],
    weights: str | Path | None = None,
    *,
    model: str = "lite",
    init: str | None = None,
    flow: str = "auto",
    perceptual: str = "auto",
    minutes: float | None = None,
    patience: int | None = 5,
    check_every: int | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    max_memory: int | None = None,
    start: str | float | Moment | None = None,
    duration: str | float | Moment | None = None,
    overwrite: bool = False,
    offline: bool = False,
    on_progress: Callable[[AdaptProgress], None] | None = None,
    **options: Any,
) -> AdaptReport:
    """Train a network on clips; the twin of `selfhvd adapt`.

    Args:
        clips: video files and folders of numbered frames.
        weights: safetensors file to write; None is a folder of the user's own, named after the clips.
        patience: held-out checks without a better score after which to stop; None and 0 never do.
        start, duration: seconds, or text as on the command line (`5s`, `120f`, `1:02.5`).
        on_progress: called with every report of the run.
        options: fields of `AdaptConfig`, such as `steps`, `crop`, `sevd`.
        The others are the fields of `AdaptJob`.

    Raises:
        SelfHVDError: a child of it, by what went wrong.
    """
    named = [Path(clips)] if isinstance(clips, (str, Path)) else [Path(clip) for clip in clips]
    unknown = set(options) - set(OPTIONS)
    if unknown:
        raise UsageFault(f"{', '.join(sorted(unknown))}: no such option; there are {', '.join(OPTIONS)}.")
    job = AdaptJob(
        clips=tuple(named),
        weights=default_weights(named, model) if weights is None else Path(weights),
        model=model,
        init=init,
        flow=flow,  # type: ignore[arg-type]
        perceptual=perceptual,  # type: ignore[arg-type]
        options=options,
        minutes=minutes,
        patience=patience or None,
        check_every=check_every,
        device=device,
        precision=precision,
        max_memory=max_memory,
        start=as_moment(start),
        duration=as_moment(duration),
        overwrite=overwrite,
        offline=offline,
    )
    return run_through(adapt_steps(job), lambda step: step.report, on_progress)


def default_weights(clips: Sequence[Path], model: str) -> Path:
    """`<user's data>/adapted/<hash of the clips>/<first clip>-<model>.safetensors`."""
    for clip in clips:
        require_readable(clip)
    digest = hashlib.sha256("".join(contents_sha256(clip) for clip in clips).encode()).hexdigest()[:12]
    return adapted_folder() / digest / f"{clips[0].stem}-{model}.safetensors"


def adapt_steps(job: AdaptJob) -> Generator[AdaptProgress, None, None]:
    """Do a job, reporting all along; the last report holds the `AdaptReport`.

    A checkpoint of an interrupted run of the same job is continued, to the very same weights on the CPU. Closing the
    iterator early saves one.

    Raises:
        SelfHVDError: a child of it, by what went wrong; weights that existed are then as they were.
    """
    _check_target(job)
    config = AdaptConfig(**job.options)
    compute = training_compute(job.device, job.precision)
    with processes_of_torchrun(compute) as (processes, compute), ExitStack() as stack:
        yield AdaptProgress("prepare", messages=(f"running on {compute}",))
        networks = yield from load_networks(job, compute, config.seed)
        materials = yield from gather(job, config.segment)
        for material in materials:
            stack.enter_context(material.footage)
        run = yield from prepare(job, config, compute, networks, materials, processes)
        yield from _train(run)


def _train(run: Run) -> Generator[AdaptProgress, None, None]:
    """The training, with checkpoints, log and pictures; then the best weights."""
    job, trainer, leads = run.job, run.trainer, run.processes.leads
    began, first = time.monotonic(), trainer.step
    ended: End = "steps"
    saved = began
    base = None if run.networks.scratch else with_values(trainer.restorer, trainer.base_values)
    log = Log(job.log, trainer.step) if leads else None
    try:
        for report in trainer.steps():
            if log is not None:
                log.add(report)
            if report.failed:
                ended = "not finite"
            due = report.step % job.checkpoint_every == 0 or time.monotonic() - saved > CHECKPOINT_SECONDS
            if leads and due and not report.failed:
                _save(run, log)
                saved = time.monotonic()
            yield AdaptProgress("train", report.step, report.steps, step=report, messages=report.events)
            if _is_late(run, began):
                ended = "minutes"
                break
        else:
            if ended == "steps" and trainer.step < run.config.steps:
                ended = "patience"
        if ended == "minutes" and trainer.step < run.config.steps:
            trainer.check_now()
    except GeneratorExit:
        # Given up between two steps (Ctrl-C): nothing is half done.
        if leads:
            _save(run, log)
        raise
    finally:
        if log is not None:
            log.close()
    yield AdaptProgress("finish", trainer.step, run.config.steps)
    seconds = time.monotonic() - began
    done = _finish(run, base, ended, seconds, trainer.step - first)
    yield AdaptProgress("done", trainer.step, run.config.steps, warnings=_warnings(done, run), report=done)


def _finish(run: Run, base: Any, ended: End, seconds: float, steps: int) -> AdaptReport:
    """Write the best weights and the pictures, drop the checkpoint."""
    job, trainer = run.job, run.trainer
    values, after = trainer.best_values, trainer.best
    improved = trainer.best_step > 0
    if run.networks.scratch and not improved:
        # Fresh parameters are nobody's base: the last ones are handed out, with the figures that are theirs.
        values, after = trainer.average.values, trainer.measured(trainer.averaged())
    figures = {
        "before": rounded(trainer.base),
        "after": rounded(after),
        "best_step": trainer.best_step,
        "steps": trainer.step,
        "ended": ended,
    }
    if run.processes.leads:
        save_weights(job.weights, values, run.networks, job.model, run.config, run.clips, figures)
        now = with_values(trainer.restorer, values)
        draw_pictures(job.pictures, [*trainer.known, *trainer.blurry], base, now, run.compute)
        job.checkpoint.unlink(missing_ok=True)
    return AdaptReport(
        weights=job.weights,
        model=job.model,
        base=run.networks.base,
        improved=improved,
        before=trainer.base,
        after=after,
        best_step=trainer.best_step,
        steps=trainer.step,
        ended=ended,
        seconds=seconds,
        seconds_a_step=seconds / max(1, steps),
        peak_memory=peak_memory(run.compute),
        flow=run.networks.flow,
        perceptual=run.networks.perceptual_name,
        device=str(run.compute),
        config=asdict(run.config),
        clips=run.clips,
        log=job.log,
        pictures=job.pictures,
    )


def peak_memory(compute: Compute) -> int | None:
    """Largest memory so far: of the GPU where one is used, else of this process; None where it is not known."""
    if compute.device.type == "cuda":
        return torch.cuda.max_memory_allocated(compute.device)
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _warnings(report: AdaptReport, run: Run) -> tuple[str, ...]:
    found = []
    if report.ended == "not finite":
        found.append(
            f"the loss was no number after step {report.steps}: training ended there, and the best weights before it "
            "were kept; a smaller --rate or --precision fp32 may help"
        )
    if not report.improved and not run.networks.scratch:
        found.append("adapting did not raise the held-out score, so the weights written are the base network's own")
    elif not report.improved:
        found.append("the network never came closer to the held-out frames than the untouched video: train it longer")
    return tuple(found)


def _save(run: Run, log: Log | None) -> None:
    run.job.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    state = {
        "identity": run.identity,
        "checkpoint_activations": run.checkpoint_activations,
        "trainer": run.trainer.state(),
    }
    if log is not None:
        log.flush()  # first: a run that goes on drops lines beyond the checkpoint, and cannot write those before it
    save_checkpoint(run.job.checkpoint, state)


def _is_late(run: Run, began: float) -> bool:
    if run.job.minutes is None:
        return False
    late = time.monotonic() - began > 60 * run.job.minutes
    return bool(run.processes.decided([float(late)], run.compute.device)[0])


def _check_target(job: AdaptJob) -> None:
    """Refuse to replace weights or a picture, and clips that are not there.

    Raises:
        UsageFault: the weights, or a picture of their name, exist and `overwrite` is not set.
        InputFault: a clip does not exist.
    """
    if not job.clips:
        raise UsageFault("name at least one clip to learn from.")
    for clip in job.clips:
        require_readable(clip)
    if job.weights.suffix != ".safetensors":
        raise UsageFault(f"-o {job.weights}: weights are written as .safetensors; end the name in that.")
    if job.weights.exists() and not job.overwrite:
        raise UsageFault(f"{job.weights}: exists already; give it to deblur --weights, or use --overwrite.")
    # Beside a log they are those of an earlier run.
    if job.pictures.exists() and not job.log.exists() and not job.overwrite:
        raise UsageFault(f"{job.pictures}: would be replaced; name other weights with -o, or use --overwrite.")
