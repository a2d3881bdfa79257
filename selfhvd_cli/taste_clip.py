"""Taste of a deblurring: the most blurred seconds of a clip, restored and shown beside the input."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from selfhvd_cli.compare_videos import compare_steps
from selfhvd_cli.comparing.footage import between, most_blurred
from selfhvd_cli.comparing.job import CompareJob, Layout
from selfhvd_cli.deblur_video import deblur_steps
from selfhvd_cli.deblurring.job import SUFFIX, TASTE, DeblurJob, default_target
from selfhvd_cli.deblurring.report import DeblurReport
from selfhvd_cli.deblurring.span import Span, expected_frames, span_of
from selfhvd_cli.errors import UsageFault
from selfhvd_cli.moments import Moment, as_moment
from selfhvd_cli.ops.sharpness import sharpness
from selfhvd_cli.steps import run_through
from selfhvd_cli.video.opening import require_readable
from selfhvd_cli.video.output_file import OutputFile
from selfhvd_cli.video.reader import open_reader

SECONDS = 3.0

LOOKS = 600
"""Frames that are scored to find the worst seconds, in a long clip; never fewer than `LOOKS_A_SECOND`."""

LOOKS_A_SECOND = 4


@dataclass(frozen=True)
class Taste:
    """What was made."""

    target: Path
    """A video of both, side by side."""

    start: Fraction
    """Where the stretch begins, seconds after the clip's first frame."""

    seconds: float
    """How long it is."""

    report: DeblurReport
    """Of the stretch; its `target` is gone."""

    whole_frames: int | None
    """Frames that the whole job has, as far as the container says."""

    whole_seconds: float | None
    """Time the whole job will take, at the pace of this one."""


@dataclass(frozen=True)
class TasteProgress:
    """Where a taste is."""

    phase: str
    """look, then those of a deblurring, then compare, then done."""

    done: int
    total: int | None
    unit: str = "frames"
    messages: tuple[str, ...] = ()
    taste: Taste | None = None
    """With the last report."""


def taste(
    source: str | Path,
    target: str | Path | None = None,
    *,
    seconds: float = SECONDS,
    layout: Layout = "side",
    weights: str | Path | None = None,
    devices: Sequence[str] = (),
    start: str | float | Moment | None = None,
    duration: str | float | Moment | None = None,
    on_progress: Callable[[TasteProgress], None] | None = None,
    **settings: Any,
) -> Taste:
    """Restore the most blurred seconds of a clip and show them beside the input; the twin of `deblur --taste`.

    Args:
        target: the video to make; None is `<source>_taste.mp4` beside the source.
        seconds: how much to restore.
        layout: side by side, or one half of each.
        start, duration: where to look; None is the whole clip.
        weights, devices: as for `deblur`.
        settings: other fields of `DeblurJob`, such as `strength`.

    Raises:
        SelfHVDError: as `deblur`; a UsageFault also where `seconds` is no length.
    """
    path = Path(source)
    job = DeblurJob(
        source=path,
        target=default_target(path),
        weights=None if weights is None else str(weights),
        devices=tuple(devices),
        start=as_moment(start),
        duration=as_moment(duration),
        **settings,
    )
    return run_through(
        taste_steps(job, None if target is None else Path(target), seconds, layout),
        lambda step: step.taste,
        on_progress,
    )


def taste_steps(
    job: DeblurJob, target: Path | None = None, seconds: float = SECONDS, layout: Layout = "side"
) -> Generator[TasteProgress, None, None]:
    """Taste a job, reporting as it goes; its own target is not touched, and nothing but the taste is left behind."""
    if not seconds > 0:
        raise UsageFault(f"{seconds} s is no length for a taste; give more than 0.")
    require_readable(job.source)
    shown = target or taste_target(job.target)
    OutputFile(shown, job.source, job.overwrite)
    part, length, whole_frames = yield from _worst(job, seconds)
    with tempfile.TemporaryDirectory(prefix=".selfhvd-taste-", dir=shown.absolute().parent) as folder:
        restored = Path(folder) / "after.mkv"
        start, duration = Moment(part.start or Fraction(0)), None if part.duration is None else Moment(part.duration)
        report = None
        for step in deblur_steps(replace(job, target=restored, start=start, duration=duration, resume=False)):
            report = step.report
            if report is None:
                yield TasteProgress(step.phase, step.done, step.total, step.unit, step.messages)
        assert report is not None
        both = CompareJob(
            first=job.source,
            second=restored,
            target=shown,
            layout=layout,
            labels=("before", "after"),
            start=start,
            duration=duration,
            whole=(restored,),
            overwrite=job.overwrite,
        )
        for each in compare_steps(both):
            yield TasteProgress("compare", each.done, each.total)
    pace = report.seconds / report.frames
    whole_seconds = None if whole_frames is None else pace * whole_frames
    made = Taste(shown, start.amount, length, report, whole_frames, whole_seconds)
    yield TasteProgress("done", report.frames, report.frames, taste=made)


def taste_target(target: Path) -> Path:
    """`clip_deblurred.mov` → `clip_taste.mp4`."""
    return target.with_name(target.stem.removesuffix(SUFFIX) + TASTE + ".mp4")


def _worst(job: DeblurJob, seconds: float) -> Generator[TasteProgress, None, tuple[Span, float, int | None]]:
    """The most blurred stretch of a job, its length in seconds, and how many frames the whole has."""
    span = span_of(job.source, job.start, job.duration)
    times: list[Fraction] = []
    scores: list[float] = []
    with open_reader(job.source, span.start, span.duration) as reader:
        info = reader.info
        total = expected_frames(info, span)
        every = max(1, min((total or 0) // LOOKS, int(info.frame_rate / LOOKS_A_SECOND)))
        for frame in reader:
            if frame.index % every == 0:
                times.append(frame.time)
                scores.append(float(sharpness(frame.rgb().unsqueeze(0))[0]))
            yield TasteProgress("look", frame.index + 1, total)
    after_first = [float(time - times[0]) for time in times]
    found = most_blurred(after_first, scores, seconds)
    if found is None:
        return span, after_first[-1] + float(every / info.frame_rate), total
    begin, end = (between(after_first, index) for index in found)
    return Span(times[0] - info.start_time + begin, end - begin), float(end - begin), total
