"""Export of a clip's sharpest frames as pictures, upright, with date, place and camera."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from torch import Tensor

from selfhvd_cli.deblurring.span import expected_frames, span_of
from selfhvd_cli.errors import DiskFault, UsageFault
from selfhvd_cli.moments import Moment, as_moment
from selfhvd_cli.ops.orientation import upright
from selfhvd_cli.ops.sharpness import sharpness
from selfhvd_cli.quality.exif import exif_bytes
from selfhvd_cli.quality.panels import as_codes
from selfhvd_cli.steps import run_through
from selfhvd_cli.video.reader import open_reader

FORMATS = {"jpg": "jpeg", "png": "png"}
JPEG_QUALITY = 95

APART = Fraction(1, 2)
"""Seconds between two exported frames, so that three pictures are not one picture three times."""


@dataclass(frozen=True)
class StillJob:
    """Which pictures to export, and where to."""

    source: Path
    folder: Path | None = None
    """Where to; None is beside the clip."""

    count: int = 3
    """Pictures at most."""

    format: str = "jpg"
    """jpg or png."""

    apart: Fraction = APART
    """Seconds at least between two of them."""

    start: Moment | None = None
    duration: Moment | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class Still:
    """One exported picture."""

    path: Path
    frame: int
    seconds: float
    """After the first frame looked at."""

    sharpness: float


@dataclass(frozen=True)
class StillProgress:
    """Where an export is."""

    done: int
    total: int | None
    stills: tuple[Still, ...] | None = None
    """With the last report, in the order of time."""


def still(
    source: str | Path,
    folder: str | Path | None = None,
    *,
    count: int = 3,
    format: str = "jpg",
    apart: float | Fraction = APART,
    start: str | float | Moment | None = None,
    duration: str | float | Moment | None = None,
    overwrite: bool = False,
    on_progress: Callable[[StillProgress], None] | None = None,
) -> tuple[Still, ...]:
    """Export the sharpest frames; the twin of `selfhvd still`. Arguments: the fields of `StillJob`.

    Raises:
        UsageFault: a picture exists already, or the format is unknown.
        InputFault: the clip cannot be read.
        DiskFault: a picture cannot be written.
    """
    job = StillJob(
        source=Path(source),
        folder=None if folder is None else Path(folder),
        count=count,
        format=format,
        apart=Fraction(apart),
        start=as_moment(start),
        duration=as_moment(duration),
        overwrite=overwrite,
    )
    return run_through(still_steps(job), lambda step: step.stills, on_progress)


def still_steps(job: StillJob) -> Generator[StillProgress, None, None]:
    """Do a job, reporting after every frame; the last report holds the pictures.

    The clip is read twice: scores are cheap to keep, frames are not.
    """
    if job.format not in FORMATS:
        raise UsageFault(f"--format {job.format}: choose one of {', '.join(FORMATS)}.")
    if job.count < 1:
        raise UsageFault(f"--count {job.count}: at least one picture.")
    span = span_of(job.source, job.start, job.duration)
    times: list[Fraction] = []
    scores: list[float] = []
    with open_reader(job.source, span.start, span.duration) as reader:
        info = reader.info
        total = expected_frames(info, span)
        for frame in reader:
            times.append(frame.time)
            scores.append(float(sharpness(frame.rgb().unsqueeze(0))[0]))
            yield StillProgress(len(scores), total)
        chosen = sharpest(scores, times, job.count, job.apart)
        targets = {index: _target(job, index) for index in chosen}
        done = []
        for frame in reader:
            target = targets.pop(frame.index, None)
            if target is not None:
                since = frame.time - info.start_time
                exif = exif_bytes(info.metadata, info.main_stream.metadata if info.streams else {}, since)
                _write(target, upright(frame.rgb(), info.display_matrix), job.format, exif)
                done.append(Still(target, frame.index, float(frame.time - times[0]), scores[frame.index]))
            if not targets:
                break
    yield StillProgress(len(scores), len(scores), tuple(done))


def sharpest(scores: list[float], times: list[Fraction], count: int, apart: Fraction) -> list[int]:
    """Numbers of the sharpest frames, no two closer in time than `apart` seconds, ascending."""
    chosen: list[int] = []
    for index in sorted(range(len(scores)), key=lambda index: -scores[index]):
        if len(chosen) == count:
            break
        if all(abs(times[index] - times[other]) >= apart for other in chosen):
            chosen.append(index)
    return sorted(chosen)


def _target(job: StillJob, index: int) -> Path:
    folder = job.folder if job.folder is not None else job.source.absolute().parent
    target = folder / f"{job.source.stem}_{index:05d}.{job.format}"
    if target.exists() and not job.overwrite:
        raise UsageFault(f"{target}: exists already; replace it with --overwrite, or name another folder with -o.")
    return target


def _write(target: Path, picture: Tensor, format: str, exif: bytes) -> None:
    from PIL import Image

    part = target.with_name(f".{target.name}.part")
    options = {"quality": JPEG_QUALITY, "subsampling": 0} if format == "jpg" else {}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(as_codes(picture)).save(part, FORMATS[format], exif=exif, **options)
        os.replace(part, target)
    except OSError as fault:
        part.unlink(missing_ok=True)
        raise DiskFault(f"{target}: cannot be written ({fault.strerror or fault}); choose another -o.") from fault
