"""Scoring of videos: frames are read once, given to every metric, and forgotten."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from selfhvd_cli.deblurring.span import Span, expected_frames, span_of
from selfhvd_cli.device import choose_compute
from selfhvd_cli.errors import InputFault, UsageFault, WeightsFault
from selfhvd_cli.flow.dis import DisEstimator
from selfhvd_cli.moments import Moment as Time
from selfhvd_cli.moments import as_moment
from selfhvd_cli.quality.fidelity import SMALLEST
from selfhvd_cli.quality.job import ScoreJob, choose_metrics, vmaf_trouble
from selfhvd_cli.quality.measures import Measure, Moment, build_measure
from selfhvd_cli.quality.metrics import Metric, parse_names
from selfhvd_cli.quality.pairs import Unlike, check_sizes, paired_frames
from selfhvd_cli.quality.report import MetricScore, ScoreReport, VideoScore, compared, summarise
from selfhvd_cli.quality.vmaf import vmaf
from selfhvd_cli.steps import run_through
from selfhvd_cli.video.frame import SourceFrame
from selfhvd_cli.video.info import VideoInfo
from selfhvd_cli.video.reader import open_reader


@dataclass(frozen=True)
class ScoreProgress:
    """Where a run is."""

    video: Path
    """Being scored."""

    done: int
    """Frames of it that were read."""

    total: int | None
    report: ScoreReport | None = None
    """With the last one."""


def score(
    videos: str | Path | Sequence[str | Path],
    reference: str | Path | None = None,
    metrics: str | Sequence[str] | None = None,
    *,
    every: int = 1,
    start: str | float | Time | None = None,
    duration: str | float | Time | None = None,
    device: str = "auto",
    offline: bool = False,
    seed: int = 0,
    on_progress: Callable[[ScoreProgress], None] | None = None,
) -> ScoreReport:
    """Measure quality; the twin of `selfhvd score`.

    Args:
        videos: one or more files or folders of frames.
        reference: the sharp original; needed by PSNR, SSIM, LPIPS and VMAF.
        metrics: names, or text such as `psnr,ssim`; None takes those that run here without a download.
        every: score each so manyth frame.
        start, duration: seconds, or text as on the command line; the same stretch of every video.
        The others are the fields of `ScoreJob`.

    Raises:
        UsageFault: an unknown metric, or one that lacks its reference.
        InputFault: a video cannot be read, or differs in size or length from its reference.
        WeightsFault: weights are absent.
    """
    listed = [videos] if isinstance(videos, (str, Path)) else list(videos)
    job = ScoreJob(
        videos=tuple(Path(video) for video in listed),
        reference=None if reference is None else Path(reference),
        metrics=parse_names(metrics),
        every=every,
        start=as_moment(start),
        duration=as_moment(duration),
        device=device,
        offline=offline,
        seed=seed,
    )
    return run_through(score_steps(job), lambda step: step.report, on_progress)


def score_steps(job: ScoreJob) -> Generator[ScoreProgress, None, None]:
    """Do a job, reporting after every frame; the last report holds the `ScoreReport`."""
    if not job.videos or job.every < 1:
        raise UsageFault("score needs at least one video and --every of at least 1.")
    notes: list[str] = []
    metrics = choose_metrics(job, notes)
    for path in (*job.videos, *([] if job.reference is None else [job.reference])):
        with open_reader(path):
            pass  # what cannot be read is known before any is scored
    device = choose_compute(job.device).device
    measures = _build(metrics, job, device, notes)
    first: VideoScore | None = None
    scored: list[VideoScore] = []
    for video in job.videos:
        base = job.reference or (job.videos[0] if first is not None else None)
        run = _Run(job, video, base, [metric for metric in metrics if _applies(metric, first is None, job)], measures)
        for done in run.frames():
            yield ScoreProgress(video, done, run.total)
        one = run.score(notes)
        if first is not None:
            one = VideoScore(one.video, one.frames, one.times, tuple(_against(one, first, job.seed)))
        first = first or one
        scored.append(one)
    report = ScoreReport(tuple(scored), job.reference, job.every, tuple(dict.fromkeys(notes)))
    yield ScoreProgress(job.videos[-1], scored[-1].frames, scored[-1].frames, report)


def _build(metrics: Sequence[Metric], job: ScoreJob, device: torch.device, notes: list[str]) -> dict[str, Measure]:
    estimator = DisEstimator(global_motion=False)

    def flow(source: Tensor, target: Tensor) -> Tensor:
        return estimator(source, target).vectors

    measures = {}
    for metric in metrics:
        if metric.needs == "file":
            if trouble := vmaf_trouble(job):
                raise UsageFault(f"{metric.name}: {trouble}.")
            continue
        try:
            measures[metric.name] = build_measure(metric, device, flow, job.offline)
        except WeightsFault:
            if job.metrics:
                raise
            notes.append(f"without {metric.name}: its weights cannot be used")
    return measures


def _applies(metric: Metric, is_first: bool, job: ScoreJob) -> bool:
    """The first video has no shift against itself."""
    return not (metric.needs == "first" and is_first and job.reference is None)


def _against(one: VideoScore, first: VideoScore, seed: int) -> Iterator[MetricScore]:
    for each in one.scores:
        same = first.of(each.metric.name)
        yield compared(each, same, seed) if same is not None else each


@dataclass
class _Run:
    """One video on its way through the metrics."""

    job: ScoreJob
    video: Path
    base: Path | None
    metrics: list[Metric]
    measures: dict[str, Measure]
    total: int | None = None
    unlike: str = ""
    """Why the frames cannot be compared with those of the first video, where nobody asked for that."""

    times: list[float] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)
    places: dict[str, list[int]] = field(default_factory=dict)

    def frames(self) -> Iterator[int]:
        """Score frame after frame, yielding how many were read."""
        span = self._span(self.video)
        wanted = [metric for metric in self.metrics if metric.name in self.measures]
        paired = self.base is not None and any(metric.needs in ("reference", "first") for metric in wanted)
        base = self.base if paired else None
        before: tuple[int, Tensor] | None = None
        origin = None
        for frame, other in self._pairs(span, base):
            origin = frame.time if origin is None else origin
            self.times.append(float(frame.time - origin))
            picture = frame.rgb()
            if before is not None and before[0] % self.job.every == 0:
                self._measure(before[0], Moment(before[1], following=picture), wanted, ("pair",))
            if frame.index % self.job.every == 0:
                moment = Moment(picture, None if other is None else other.rgb())
                kinds = ("frame",) if other is None else ("frame", "reference", "first")
                self._measure(frame.index, moment, wanted, kinds)
            before = (frame.index, picture)
            yield len(self.times)

    def score(self, notes: list[str]) -> VideoScore:
        scores = []
        if self.unlike:
            notes.append(f"without shift of {self.video}: {self.unlike}")
        for metric in self.metrics:
            values, places = self.values.get(metric.name, []), self.places.get(metric.name, [])
            if metric.needs == "file":
                assert self.base is not None
                values = vmaf(self.video, self.base, self.job.every)
                places = [min(i * self.job.every, len(self.times) - 1) for i in range(len(values))]
            if values:
                scores.append(summarise(metric, places, values, self.job.seed))
            elif metric.needs == "pair":
                notes.append(f"without {metric.name} of {self.video}: it needs two frames, the video has one")
        return VideoScore(self.video, len(self.times), tuple(self.times), tuple(scores))

    def _span(self, path: Path) -> Span:
        return Span() if path in self.job.whole else span_of(path, self.job.start, self.job.duration)

    def _measure(self, index: int, moment: Moment, metrics: Sequence[Metric], kinds: tuple[str, ...]) -> None:
        for metric in metrics:
            if metric.needs in kinds:
                self.values.setdefault(metric.name, []).append(self.measures[metric.name](moment))
                self.places.setdefault(metric.name, []).append(index)

    def _pairs(self, span: Span, base: Path | None) -> Iterator[tuple[SourceFrame, SourceFrame | None]]:
        """Frames of the video with those of the same number of its base.

        Raises:
            InputFault: sizes or lengths differ; the message says both.
        """
        with open_reader(self.video, span.start, span.duration) as reader:
            self.total = expected_frames(reader.info, span)
            if base is None:
                yield from ((frame, None) for frame in reader)
                return
            other_span = self._span(base)
            with open_reader(base, other_span.start, other_span.duration) as others:
                try:
                    self._check_sizes(reader.info, others.info)
                    yield from paired_frames(reader, others)
                except Unlike as fault:
                    if self.job.reference is not None or self.job.metrics:
                        raise InputFault(str(fault)) from None
                    self.unlike = str(fault)
                    for metric in self.metrics:
                        if metric.needs == "first":
                            self.values.pop(metric.name, None)
                    seen = len(self.times)
                    yield from ((frame, None) for frame in reader if frame.index >= seen)

    def _check_sizes(self, one: VideoInfo, other: VideoInfo) -> None:
        check_sizes(one, other)
        if min(one.width, one.height) < SMALLEST and any(metric.name == "ssim" for metric in self.metrics):
            raise InputFault(f"{one.path}: SSIM needs {SMALLEST} pixels a side, got {one.width}×{one.height}.")
