"""Inspection of one clip: every frame is scored, nothing is changed, and nothing but numbers is kept of a frame."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from torch import Tensor

from selfhvd_cli.deblurring.job import DeblurJob, default_target
from selfhvd_cli.deblurring.setup import plan_deblur
from selfhvd_cli.deblurring.span import expected_frames, span_of
from selfhvd_cli.errors import SelfHVDError, UsageFault
from selfhvd_cli.moments import Moment, as_moment
from selfhvd_cli.ops.sharpness import sharpness
from selfhvd_cli.pipeline import Ahead
from selfhvd_cli.quality.blur_effect import blur_effect
from selfhvd_cli.steps import run_through
from selfhvd_cli.training.inspection import Inspection, judge
from selfhvd_cli.training.sharpness import SEGMENT, find_sharp_frames
from selfhvd_cli.video.reader import open_reader

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class InspectProgress:
    """Where an inspection is."""

    done: int
    total: int | None
    """As far as the container says."""

    inspection: Inspection | None = None
    """With the last report."""


def inspect(
    source: str | Path,
    *,
    segment: int = SEGMENT,
    start: str | float | Moment | None = None,
    duration: str | float | Moment | None = None,
    estimate: bool = True,
    on_progress: Callable[[InspectProgress], None] | None = None,
) -> Inspection:
    """Look at a clip; the twin of `selfhvd inspect`.

    Args:
        source: a video file or a folder of numbered frames.
        segment: frames of a segment (paper: 20).
        start, duration: seconds, or text as on the command line (`5s`, `120f`, `1:02.5`).
        estimate: where deblurring helps, try the network for a moment to tell how long it will take here.

    Raises:
        InputFault: the clip cannot be read.
        UsageFault: the segment or a time makes no sense.
    """
    return run_through(
        inspect_steps(Path(source), segment, as_moment(start), as_moment(duration), estimate),
        lambda step: step.inspection,
        on_progress,
    )


def inspect_steps(
    source: Path,
    segment: int = SEGMENT,
    start: Moment | None = None,
    duration: Moment | None = None,
    estimate: bool = True,
) -> Generator[InspectProgress, None, None]:
    """Look at a clip frame by frame; the last report holds the inspection. Only numbers are kept of a frame."""
    if segment < 1:
        raise UsageFault(f"--segment {segment}: a segment has at least one frame; the paper uses {SEGMENT}.")
    span = span_of(source, start, duration)
    times: list[Fraction] = []
    scores: list[float] = []
    blurs: dict[int, float] = {}
    with open_reader(source, span.start, span.duration) as reader:
        info = reader.info
        total = expected_frames(info, span)
        end = Fraction(0)
        pictures = ((frame.time, frame.duration, frame.rgb()) for frame in reader)
        with Ahead(pictures, 2) as ahead:
            for time, shown, rgb in ahead:
                times.append(time)
                end = time + (shown or 1 / info.frame_rate)
                _look(rgb, scores, blurs, segment)
                yield InspectProgress(len(scores), total)
    sharp = find_sharp_frames(scores, segment)
    edges = [*(time - times[0] for time in times), end - times[0]]
    found = judge(source, (info.width, info.height), sharp, edges, list(blurs.values()))
    if estimate and found.deblur_helps:
        found = _estimated(found, DeblurJob(source, default_target(source), start=start, duration=duration))
    yield InspectProgress(len(scores), len(scores), found)


def _estimated(found: Inspection, job: DeblurJob) -> Inspection:
    """The inspection with what deblurring would cost; as it is where this machine cannot deblur."""
    try:
        plan = plan_deblur(job)
    except SelfHVDError as fault:
        log.info("no estimate: %s", fault.message)
        return found
    seconds = None if plan.seconds is None or not plan.frames else plan.seconds / plan.frames * len(found.frames)
    return replace(found, deblur_device=plan.device or "", deblur_seconds=seconds, deblur_memory=plan.memory)


def _look(rgb: Tensor, scores: list[float], blurs: dict[int, float], segment: int) -> None:
    """Score one frame; the costlier blur effect only of frames that are the sharpest of their segment so far."""
    score = float(sharpness(rgb.unsqueeze(0))[0])
    number = len(scores) // segment
    if number not in blurs or score > max(scores[number * segment :]):
        blurs[number] = blur_effect(rgb)
    scores.append(score)
