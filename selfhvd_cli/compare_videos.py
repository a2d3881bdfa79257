"""Comparison of two videos for the eye: a video of both, a sheet of crops, or a page that needs nothing else."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from torch import Tensor

from selfhvd_cli.comparing.footage import Looked, look, opened, stills, stretch
from selfhvd_cli.comparing.job import USED_BY, CompareJob, CompareProgress, Comparison, Layout
from selfhvd_cli.errors import UsageFault
from selfhvd_cli.moments import Moment, as_moment
from selfhvd_cli.quality.job import ScoreJob
from selfhvd_cli.quality.metrics import parse_names
from selfhvd_cli.quality.page import Page, Still, fitted, page_html
from selfhvd_cli.quality.panels import Picture, as_codes, beside, labelled, liveliest, sheet, split
from selfhvd_cli.quality.plots import Series, plot_bytes, plot_each_score
from selfhvd_cli.quality.report import ScoreReport
from selfhvd_cli.quality.sheet import telling_frames
from selfhvd_cli.quality.side_file import check_joins_no_frames
from selfhvd_cli.score_video import score_steps
from selfhvd_cli.steps import run_through
from selfhvd_cli.video.comparison import ComparisonWriter
from selfhvd_cli.video.output_file import OutputFile
from selfhvd_cli.video.reader import open_reader

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CROP = 640
"""Side of the sheet's crops in pixels, at full size."""

SCORED = 40
"""Frames that a page's metrics look at, unless asked otherwise."""


def compare(
    first: str | Path,
    second: str | Path,
    target: str | Path,
    *,
    layout: Layout = "side",
    labels: tuple[str, str] | None = None,
    also: Sequence[str | Path] = (),
    metrics: str | Sequence[str] | None = None,
    every: int | None = None,
    start: str | float | Moment | None = None,
    duration: str | float | Moment | None = None,
    whole: Sequence[str | Path] = (),
    overwrite: bool = False,
    details: Mapping[str, Sequence[str]] | None = None,
    offline: bool = False,
    seed: int = 0,
    on_progress: Callable[[CompareProgress], None] | None = None,
) -> Comparison:
    """Show two videos beside each other; the twin of `selfhvd compare`.

    Args: the fields of `CompareJob`; times in seconds, or text as on the command line.

    Raises:
        UsageFault: the target exists, has an ending that means nothing, or has no use for what is asked.
        InputFault: a video cannot be read, or the two differ in size or length.
        DiskFault: the target cannot be written.
    """
    job = CompareJob(
        first=Path(first),
        second=Path(second),
        target=Path(target),
        layout=layout,
        labels=labels,
        also=tuple(Path(path) for path in also),
        metrics=parse_names(metrics),
        every=every,
        start=as_moment(start),
        duration=as_moment(duration),
        whole=tuple(Path(path) for path in whole),
        overwrite=overwrite,
        details=details or {},
        offline=offline,
        seed=seed,
    )
    return run_through(compare_steps(job), lambda step: step.comparison, on_progress)


def compare_steps(job: CompareJob) -> Generator[CompareProgress, None, None]:
    """Do a job, reporting as it goes; the last report holds the `Comparison`."""
    maker = {"video": _video, "sheet": _sheet, "page": _page}[job.kind]
    if job.idle:
        wanted = sorted({USED_BY[name] for name in job.idle})
        options = ", ".join(f"--{name}" for name in job.idle)
        raise UsageFault(
            f"{job.target}: is a {job.kind}, {options} is for a {' and a '.join(wanted)}; "
            "leave it out, or give another ending with -o."
        )
    inputs = (job.first, job.second, *job.also)
    check_joins_no_frames(job.target, inputs, "-o")
    for path in inputs:
        OutputFile(job.target, path, job.overwrite)
        with open_reader(path):
            pass  # what cannot be read is known before any is
    yield from maker(job)


# ---- the three kinds -------------------------------------------------------------------------------------------


def _video(job: CompareJob) -> Generator[CompareProgress, None, None]:
    with opened(job) as pair, ExitStack() as stack:
        writer = None
        for count, (time, _, one, other) in enumerate(pair.pictures(), start=1):
            if writer is None:
                writer = stack.enter_context(
                    ComparisonWriter(
                        job.target,
                        pair.info,
                        start=pair.span.start,
                        duration=pair.span.duration,
                        overwrite=job.overwrite,
                    )
                )
            writer.write(_composed(job, as_codes(one), as_codes(other)), time)
            yield CompareProgress("write", count, pair.total)
        assert writer is not None
        sound = f"no sound: {writer.sound_note}" if writer.sound_note else ""
    yield _finished(job, count, notes=tuple(note for note in (pair.note, sound) if note))


def _composed(job: CompareJob, one: Picture, other: Picture) -> Picture:
    if job.layout == "split":
        half = round(one.shape[1] * 0.5)
        picture = split(one, other).copy()
        picture[:, :half] = labelled(picture[:, :half].copy(), job.names[0])
        picture[:, half:] = labelled(picture[:, half:].copy(), job.names[1])
        return picture
    return beside(labelled(one, job.names[0]), labelled(other, job.names[1]))


def _sheet(job: CompareJob) -> Generator[CompareProgress, None, None]:
    looked = yield from look(job)
    shown = telling_frames(looked.first.scores)
    rows, captions = [], []
    for rank, still in stills(job, shown):
        rows.append(_crops(still[0], still[1]))
        captions.append(looked.caption(rank, shown[rank]))
    picture = sheet(rows, captions, job.names)
    _write(job, _png(picture))
    yield _finished(job, len(looked.times), shown, notes=(looked.note,) if looked.note else ())


def _crops(one: Tensor, other: Tensor) -> list[Picture]:
    height, width = (min(CROP, side) for side in one.shape[-2:])
    top, left = liveliest(other, height, width)
    return [as_codes(picture[:, top : top + height, left : left + width]) for picture in (one, other)]


def _page(job: CompareJob) -> Generator[CompareProgress, None, None]:
    looked = yield from look(job)
    shown = telling_frames(looked.first.scores)
    full = [
        Still(looked.caption(rank, shown[rank]), as_codes(one), as_codes(other))
        for rank, (one, other) in stills(job, shown)
    ]
    clip = yield from _clip(job, looked)
    report = yield from _scores(job, len(looked.times))
    notes = [*((looked.note,) if looked.note else ()), *report.notes, *clip.notes]
    page = Page(
        title=job.title or " / ".join(job.names),
        names=job.names,
        stills=full,
        clip=clip.content,
        stacked=clip.stacked,
        report=report,
        columns=job.columns,
        plots=[plot_bytes(figure, "svg") for figure in _plots(job, looked, report)],
        details={**job.details, **({"Notes": notes} if notes else {})},
    )
    _write(job, page_html(page).encode())
    yield _finished(job, len(looked.times), shown, report, tuple(notes))


@dataclass(frozen=True)
class _Clip:
    """The video of a page: one file with both pictures, so that nothing can drift apart."""

    content: bytes
    stacked: Literal["below", "beside"]
    notes: tuple[str, ...]


def _clip(job: CompareJob, looked: Looked) -> Generator[CompareProgress, None, _Clip]:
    """The most blurred stretch, if the clip is long."""
    spans, notes = stretch(looked)
    part = job.target.with_name(f".{job.target.name}.clip.mp4")
    stacked: Literal["below", "beside"] = "below"
    try:
        with opened(job, spans) as pair, ExitStack() as stack:
            writer = None
            for count, (time, _, one, other) in enumerate(pair.pictures(), start=1):
                stacked = "below" if one.shape[-1] >= one.shape[-2] else "beside"
                if writer is None:
                    writer = stack.enter_context(
                        ComparisonWriter(
                            part,
                            pair.info,
                            crf=20,
                            start=pair.span.start,
                            duration=pair.span.duration,
                            overwrite=True,
                        )
                    )
                writer.write(fitted(as_codes(one), as_codes(other), stacked), time)
                yield CompareProgress("clip", count, pair.total)
        assert writer is not None
        if writer.sound_note:
            notes.append(f"no sound: {writer.sound_note}")
        return _Clip(part.read_bytes(), stacked, tuple(notes))
    finally:
        part.unlink(missing_ok=True)


def _scores(job: CompareJob, frames: int) -> Generator[CompareProgress, None, ScoreReport]:
    every = job.every or max(1, frames // SCORED)
    score = ScoreJob(
        videos=(job.first, job.second, *job.also),
        metrics=job.metrics,
        every=every,
        start=job.start,
        duration=job.duration,
        whole=job.whole,
        offline=job.offline,
        seed=job.seed,
    )
    report = None
    names = dict(zip(score.videos, job.columns, strict=True))
    for step in score_steps(score):
        yield CompareProgress(f"score {names[step.video]}", step.done, step.total)
        report = step.report
    assert report is not None
    return report


def _plots(job: CompareJob, looked: Looked, report: ScoreReport) -> Iterator[Figure]:
    series = [
        Series(name, looked.times, sharp.scores, sharp.indices, sharp.threshold)
        for name, sharp in zip(job.names, (looked.first, looked.second), strict=True)
    ]
    yield from plot_each_score(report, job.columns, series)


# ---- writing ---------------------------------------------------------------------------------------------------


def _finished(
    job: CompareJob,
    frames: int,
    shown: Mapping[str, int] | None = None,
    report: ScoreReport | None = None,
    notes: tuple[str, ...] = (),
) -> CompareProgress:
    return CompareProgress("done", frames, frames, Comparison(job.target, frames, shown or {}, report, notes))


def _write(job: CompareJob, content: bytes) -> None:
    file = OutputFile(job.target, None, job.overwrite)
    try:
        with file.disk_faults():
            file.part.write_bytes(content)
            os.replace(file.part, job.target)
    finally:
        file.discard()


def _png(picture: Picture) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "png")
    return buffer.getvalue()
