"""What scoring found: values by frame, means with their confidence, and which video is better."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from selfhvd_cli.quality.confidence import Interval, bootstrap
from selfhvd_cli.quality.metrics import Metric
from selfhvd_cli.quality.names import readable

Direction = Literal["better", "worse", "same"]

ARROWS = {"better": "▲", "worse": "▼", "same": "≈"}


@dataclass(frozen=True)
class MetricScore:
    """One metric of one video."""

    metric: Metric

    frames: tuple[int, ...]
    """Numbers of the scored frames."""

    values: tuple[float, ...]
    """One for each; infinite PSNR means equal pictures."""

    interval: Interval
    """Mean over the finite values, with its 95 % interval."""

    lowest: float
    highest: float

    difference: Interval | None = None
    """Mean of the frame by frame difference to the first video; None for the first one, or where frames differ."""

    direction: Direction | None = None
    """Against the first video; `same` where the interval of the difference holds 0."""


@dataclass(frozen=True)
class VideoScore:
    """All metrics of one video."""

    video: Path
    frames: int
    """In the scored stretch."""

    times: tuple[float, ...]
    """Seconds after its first frame, for every frame."""

    scores: tuple[MetricScore, ...]

    def of(self, name: str) -> MetricScore | None:
        return next((score for score in self.scores if score.metric.name == name), None)


@dataclass(frozen=True)
class ScoreReport:
    """One or more videos by the same metrics."""

    videos: tuple[VideoScore, ...]
    reference: Path | None
    every: int
    """Each so manyth frame was scored."""

    notes: tuple[str, ...]
    """What was left out and why, and what was used in place of something better."""


def summarise(metric: Metric, frames: Sequence[int], values: Sequence[float], seed: int) -> MetricScore:
    """A metric's values as a score. A mean over no finite value is infinite (equal pictures) or NaN."""
    finite = [value for value in values if math.isfinite(value)]
    if finite:
        interval = bootstrap(finite, seed)
    else:
        only = values[0] if values else math.nan
        interval = Interval(only, only, only)
    return MetricScore(metric, tuple(frames), tuple(values), interval, min(values), max(values))


def compared(score: MetricScore, first: MetricScore, seed: int) -> MetricScore:
    """`score` with its difference to the first video's, frame by frame where both have the same frames."""
    if score.frames != first.frames:
        return score
    pairs = [(a, b) for a, b in zip(score.values, first.values, strict=True) if math.isfinite(a - b)]
    if not pairs:
        return score
    difference = bootstrap([a - b for a, b in pairs], seed)
    direction: Direction = "same"
    if difference.mean != 0 and (difference.excludes(0) or len(pairs) == 1):
        direction = "better" if (difference.mean > 0) == score.metric.higher_is_better else "worse"
    return MetricScore(
        score.metric, score.frames, score.values, score.interval, score.lowest, score.highest, difference, direction
    )


def table(report: ScoreReport, names: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows: a row a metric, a column a video.

    Args:
        names: of the videos, as columns.
    """
    rows = []
    for metric in {score.metric.name: score.metric for video in report.videos for score in video.scores}.values():
        way = "↑" if metric.higher_is_better else "↓"
        cells = [f"{metric.title} {way}" + (f" ({metric.unit})" if metric.unit else "")]
        cells += [_cell(one) if (one := video.of(metric.name)) else "-" for video in report.videos]
        rows.append(cells)
    return ["metric", *names], rows


def _cell(score: MetricScore) -> str:
    digits, interval = score.metric.digits, score.interval
    if not math.isfinite(interval.mean):
        return "equal" if interval.mean > 0 else "-"
    half = max(interval.high - interval.mean, interval.mean - interval.low)
    text = f"{interval.mean:.{digits}f}"
    if len(score.values) > 1:
        text += f" ±{half:.{digits}f}"
    return f"{text} {ARROWS[score.direction]}" if score.direction else text


def as_csv(report: ScoreReport) -> str:
    """One line for each video, metric and frame."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("video", "metric", "frame", "seconds", "value"))
    for video in report.videos:
        for score in video.scores:
            for frame, value in zip(score.frames, score.values, strict=True):
                writer.writerow(
                    (readable(video.video), score.metric.name, frame, f"{video.times[frame]:.6f}", repr(value))
                )
    return text.getvalue()
