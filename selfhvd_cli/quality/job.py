"""What is to be scored: the job, and the metrics it means."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from selfhvd_cli.errors import UsageFault
from selfhvd_cli.moments import Moment
from selfhvd_cli.quality.measures import absent_file, absent_weights
from selfhvd_cli.quality.metrics import AGAINST_REFERENCE, DEFAULTS, LEARNED, METRICS, Metric, metric_named
from selfhvd_cli.quality.vmaf import can_vmaf


@dataclass(frozen=True)
class ScoreJob:
    """What to score, and how."""

    videos: tuple[Path, ...]
    """Files or folders of frames; the others are compared with the first."""

    reference: Path | None = None
    """The sharp original, where there is one."""

    metrics: tuple[str, ...] = ()
    """Names; empty takes the defaults."""

    every: int = 1
    """Each so manyth frame is scored."""

    start: Moment | None = None
    duration: Moment | None = None
    whole: tuple[Path, ...] = ()
    """Videos that are scored from end to end all the same: what was made of that stretch of the others."""

    device: str = "auto"
    offline: bool = False
    """Never fetch weights."""

    seed: int = 0
    """Of the bootstrap."""


def choose_metrics(job: ScoreJob, notes: list[str]) -> list[Metric]:
    """The metrics of a job, in order; what a default set leaves out is noted.

    Raises:
        UsageFault: unknown, or without the reference it needs.
    """
    if job.metrics:
        chosen = [metric_named(name) for name in job.metrics]
        for metric in chosen:
            if metric.needs in ("reference", "file") and job.reference is None:
                raise UsageFault(f"{metric.name} compares with a sharp original: name it with --reference REF.")
            if metric.needs == "first" and job.reference is None and len(job.videos) == 1:
                raise UsageFault(f"{metric.name} compares two videos: name a second one, or --reference REF.")
        return chosen
    names: list[str] = []
    if job.reference is not None:
        names += [*AGAINST_REFERENCE]
        names += _optional(METRICS["lpips"], notes)
        trouble = vmaf_trouble(job)
        names += [] if trouble else ["vmaf"]
        notes += [f"without vmaf: {trouble}"] if trouble else []
    elif len(job.videos) > 1:
        names.append("shift")
    names += DEFAULTS
    for name in LEARNED:
        names += _optional(METRICS[name], notes)
    return [METRICS[name] for name in names]


def _optional(metric: Metric, notes: list[str]) -> list[str]:
    """A metric's name if its weights are here; else a note how to get them."""
    if absent_file(metric):
        notes.append(f"without {metric.name}: its numbers are not here; --metrics {metric.name} fetches them once")
        return []
    absent = absent_weights(metric)
    if absent:
        notes.append(f"without {metric.name}: its weights are not here; selfhvd weights pull {' '.join(absent)}")
    return [] if absent else [metric.name]


def vmaf_trouble(job: ScoreJob) -> str:
    """Why VMAF cannot be had for a job; empty if it can."""
    if job.start is not None or job.duration is not None:
        return "it reads whole files; leave out --start and --duration"
    folder = next((path for path in (*job.videos, job.reference) if path is not None and path.is_dir()), None)
    if folder is not None:
        return f"it reads video files, {folder} is a folder"
    return can_vmaf()
