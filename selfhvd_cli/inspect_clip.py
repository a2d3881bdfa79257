"""Inspection of one clip: every frame is scored, nothing is changed, and nothing but numbers is kept of a frame."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from torch import Tensor

from selfhvd_cli.deblurring.span import expected_frames, span_of
from selfhvd_cli.errors import UsageFault
from selfhvd_cli.moments import Moment, as_moment
from selfhvd_cli.ops.sharpness import sharpness
from selfhvd_cli.pipeline import Ahead
from selfhvd_cli.quality.blur_effect import blur_effect
from selfhvd_cli.training.inspection import Inspection, judge
from selfhvd_cli.training.sharpness import SEGMENT, find_sharp_frames
from selfhvd_cli.video.reader import open_reader


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
    on_progress: Callable[[InspectProgress], None] | None = None,
) -> Inspection:
    """Look at a clip; the twin of `selfhvd inspect`.

    Args:
        source: a video file or a folder of numbered frames.
        segment: frames of a segment (paper: 20).
        start, duration: seconds, or text as on the command line (`5s`, `120f`, `1:02.5`).

    Raises:
        InputFault: the clip cannot be read.
        UsageFault: the segment or a time makes no sense.
    """
    found = None
    with closing(inspect_steps(Path(source), segment, as_moment(start), as_moment(duration))) as steps:
        for step in steps:
            found = step.inspection
            if on_progress is not None:
                on_progress(step)
    assert found is not None
    return found


def inspect_steps(
    source: Path, segment: int = SEGMENT, start: Moment | None = None, duration: Moment | None = None
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
    yield InspectProgress(
        len(scores), len(scores), judge(source, (info.width, info.height), sharp, edges, list(blurs.values()))
    )


def _look(rgb: Tensor, scores: list[float], blurs: dict[int, float], segment: int) -> None:
    """Score one frame; the costlier blur effect only of frames that are the sharpest of their segment so far."""
    score = float(sharpness(rgb.unsqueeze(0))[0])
    number = len(scores) // segment
    if number not in blurs or score > max(scores[number * segment :]):
        blurs[number] = blur_effect(rgb)
    scores.append(score)
