"""Deblurring of one clip: decode, restore and encode at the same time, everything else in the file kept."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path

from torch import Tensor

from selfhvd_cli.deblurring.job import DeblurJob, check_clip, check_paths, default_target, missing_part
from selfhvd_cli.deblurring.kept import Kept
from selfhvd_cli.deblurring.report import DeblurReport, Progress, Tally
from selfhvd_cli.deblurring.resume import Resume
from selfhvd_cli.deblurring.settings import is_long
from selfhvd_cli.deblurring.setup import Setup, fetch_weights, set_up
from selfhvd_cli.deblurring.span import expected_frames, span_of
from selfhvd_cli.deblurring.speed import Speed
from selfhvd_cli.device import Precision, choose_compute
from selfhvd_cli.moments import Moment, as_moment
from selfhvd_cli.pipeline import Ahead, Behind
from selfhvd_cli.restore.guard import Verdict
from selfhvd_cli.restore.held import Packed, Planes
from selfhvd_cli.restore.load import weights_reference
from selfhvd_cli.restore.stream import restore_stream
from selfhvd_cli.restore.windows import Frame
from selfhvd_cli.steps import run_through
from selfhvd_cli.video.codes import Codes
from selfhvd_cli.video.contents import contents_bytes
from selfhvd_cli.video.encoders import Encoding
from selfhvd_cli.video.frame import SourceFrame
from selfhvd_cli.video.pixel_formats import PixelLayout
from selfhvd_cli.video.reader import Reader, open_reader
from selfhvd_cli.video.writing import Writer, open_writer

Judged = tuple[SourceFrame, Tensor | Codes | None, Verdict | None, tuple[str, ...]]
"""A frame; what replaces it, if anything does; the guard's verdict, if it was judged; what happened meanwhile."""


def deblur(
    source: str | Path,
    target: str | Path | None = None,
    *,
    model: str = "lite",
    weights: str | Path | None = None,
    strength: float = 1.0,
    device: str = "auto",
    devices: Sequence[str] = (),
    precision: Precision = "auto",
    window: int | None = None,
    tile: int | None = None,
    max_memory: int | None = None,
    start: str | float | Moment | None = None,
    duration: str | float | Moment | None = None,
    encoding: Encoding | None = None,
    overwrite: bool = False,
    offline: bool = False,
    seed: int = 0,
    salvage: bool = False,
    resume: bool = True,
    on_progress: Callable[[Progress], None] | None = None,
) -> DeblurReport:
    """Take the blur out of a clip; the twin of `selfhvd deblur`.

    Args:
        source: a video file or a folder of numbered frames.
        target: the result; None is `<source>_deblurred` beside it.
        start, duration: seconds, or text as on the command line (`5s`, `120f`, `1:02.5`).
        on_progress: called with every report of the run.
        The others are the fields of `DeblurJob`.

    Raises:
        SelfHVDError: a child of it, by what went wrong; the target is then as it was.
    """
    source = Path(source)
    job = DeblurJob(
        source=source,
        target=default_target(source) if target is None else Path(target),
        model=model,
        weights=None if weights is None else str(weights),
        strength=strength,
        device=device,
        devices=tuple(devices),
        precision=precision,
        window=window,
        tile=tile,
        max_memory=max_memory,
        start=as_moment(start),
        duration=as_moment(duration),
        encoding=encoding or Encoding(),
        overwrite=overwrite,
        offline=offline,
        seed=seed,
        salvage=salvage,
        resume=resume,
    )
    return run_through(deblur_steps(job), lambda step: step.report, on_progress)


def deblur_steps(job: DeblurJob) -> Generator[Progress, None, None]:
    """Do a job, reporting after every frame; the last report holds the `DeblurReport`.

    Closing the iterator early (or an exception, or Ctrl-C) gives the run up: an existing target stays as it was, and
    nothing is left behind but the finished segments of a long clip, from which the same job goes on.

    Raises:
        SelfHVDError: a child of it, by what went wrong.
    """
    started = time.monotonic()
    check_paths(job.source, job.target, job.overwrite)
    compute = choose_compute(job.first_device, job.precision)
    weights_reference(job.model, job.weights)  # a wrong name ends the run here
    span = span_of(job.source, job.start, job.duration)
    with open_reader(job.source, span.start, span.duration) as reader, ExitStack() as stack:
        check_clip(reader.info)
        total = expected_frames(reader.info, span)
        missing = missing_part(job.source, job.salvage)
        yield Progress("prepare", 0, total, messages=(f"running on {compute}",) if job.strength else ())
        tally = Tally()
        with open_writer(job.target, reader.info, job.encoding, job.overwrite, span.start, span.duration) as writer:
            weights = (yield from _fetch(job)) if job.strength else None
            resume = None
            if weights is not None and job.resume and is_long(total):
                resume = stack.enter_context(Resume(job, weights, writer.in_words(), total))
            setup = set_up(job, reader.info, compute, weights, resume.plan if resume else None)
            if resume is not None and not _keep(writer, resume, setup):
                resume = None
            said = resume.take_messages() if resume is not None else ()
            so_far = resume.so_far if resume is not None else None
            moved = (f"running on {setup.compute}",) if setup.compute.device != compute.device else ()
            warned = (setup.warning,) if setup.warning else ()
            yield Progress("prepare", 0, total, messages=(*moved, str(setup), *warned, *said), kept=so_far)
            stages = yield from _stream(reader, writer, setup, total, tally, resume)
            yield Progress("finish", tally.frames, tally.frames, kept=resume.so_far if resume else None)
        tally.events += _losses(tally, total, missing, reader.damaged)
        report = _report(job, setup, tally, writer, stages, time.monotonic() - started, resume.kept if resume else 0)
        if resume is not None:
            resume.done()
    yield Progress("done", report.frames, report.frames, rate=report.frames_per_second, report=report)


def _losses(tally: Tally, total: int | None, missing: str | None, damaged: int) -> tuple[str, ...]:
    """What a damaged source did not give, in words."""
    found = []
    if missing is not None:
        promised = f" of {total}" if total is not None else ""
        found.append(f"salvaged {tally.frames}{promised} frames: {missing}")
    if damaged:
        found.append(f"{damaged} damaged packets in the source")
    return tuple(found)


def _fetch(job: DeblurJob) -> Generator[Progress, None, Path]:
    """Pass on the reports of a fetch; gives the file."""
    for report in fetch_weights(job):
        if isinstance(report, Path):
            return report
        yield report
    raise AssertionError("a fetch ends with a path or a fault")


def _keep(writer: Writer, resume: Resume, setup: Setup) -> bool:
    """Write in segments that are kept, if the encoder can."""
    if not writer.keep(resume):
        return False
    assert setup.plan is not None
    resume.begin(setup.plan, str(setup.compute))
    return True


def _stream(
    reader: Reader, writer: Writer, setup: Setup, total: int | None, tally: Tally, resume: Resume | None
) -> Generator[Progress, None, dict[str, float]]:
    """All frames from the reader through the network to the writer; gives the seconds each stage was at work."""

    def write(pair: tuple[SourceFrame, Tensor | Codes | None]) -> None:
        writer.write(*pair)

    def see(pair: tuple[SourceFrame, Tensor | Codes | None]) -> None:
        """Where the device kept it, compute the RGB view again that a change is the difference to: half of the
        writer's own work."""
        frame, restored = pair
        if isinstance(restored, Tensor):
            frame.rgb()
        behind.put(pair)

    speed = Speed()
    begun = time.monotonic()
    waited = 0.0
    kept = resume.kept if resume is not None else 0
    with (
        Ahead(_decoded(reader, setup, writer.layout), setup.queue_depth) as ahead,
        Behind(write, setup.queue_depth) as behind,
        Behind(see, 1) as seen,
    ):
        for frame, restored, verdict, events in _judged(ahead, setup, kept):
            if resume is not None and tally.frames < kept:
                verdict, events = resume.noted(tally.frames)
            elif resume is not None:
                resume.note(tally.frames, verdict, events)
            handed_over = time.monotonic()
            seen.put((frame, restored))
            waited += time.monotonic() - handed_over
            tally.add(verdict, events)
            if behind.done < kept:
                yield Progress("resume", behind.done, total, kept=resume.so_far if resume is not None else None)
                continue
            speed.reach(behind.done, time.monotonic())
            said = (*events, *resume.take_messages()) if resume is not None else events
            yield _progress(behind.done, total, speed, said, resume.so_far if resume is not None else None)
        middle = time.monotonic() - begun - waited - ahead.waited_seconds
    return {"decode": ahead.busy_seconds, "restore": max(0.0, middle), "encode": behind.busy_seconds}


def _decoded(reader: Reader, setup: Setup, layout: PixelLayout | None) -> Iterator[tuple[SourceFrame, Codes | None]]:
    """The reader's frames, made ready here, off the network's thread: their RGB computed, or their planes copied
    where a device computes it, and what the writer shall have.

    Args:
        layout: of the codes that the writer takes.
    """
    by_device = setup.loaded is not None and setup.compute.device.type != "cpu"
    for frame in reader:
        codes = frame.codes() if by_device and frame.layout == layout else None
        if setup.loaded is not None and codes is None:
            frame.rgb()
        yield frame, codes


def _judged(frames: Iterable[tuple[SourceFrame, Codes | None]], setup: Setup, done: int) -> Iterator[Judged]:
    """Every frame in order with what shall replace it, None where it passes as it was decoded.

    Args:
        done: frames at the beginning that an earlier run restored; theirs is None.
    """
    if setup.loaded is None or setup.plan is None:
        for frame, _ in frames:
            yield frame, None, None, ()
        return
    waiting: deque[SourceFrame] = deque()

    def held() -> Iterator[Frame]:
        for frame, codes in frames:
            waiting.append(frame)
            yield Frame(Packed.of(frame.rgb()) if codes is None else Planes(codes), frame.time)
            # The windows keep their own, smaller copy.
            frame.forget()

    with setup.crew or nullcontext():
        for restored in restore_stream(setup.loaded.restorer, held(), setup.plan, setup.compute, setup.crew, done):
            frame = waiting.popleft()
            assert frame.time == restored.time, "frames come back in order"
            untouched = restored.verdict.strength == 0
            if restored.source is not None and not untouched:
                # The change is then exactly what the guard let through.
                frame.remember(restored.source)
            yield frame, None if untouched else restored.picture, restored.verdict, restored.events


def _progress(done: int, total: int | None, speed: Speed, events: tuple[str, ...], kept: Kept | None) -> Progress:
    if total is not None:
        total = max(total, done)  # the container's count was a promise
    left = speed.seconds_left(done, total)
    return Progress("deblur", done, total, rate=speed.rate, seconds_left=left, messages=events, kept=kept)


def _report(
    job: DeblurJob, setup: Setup, tally: Tally, writer: Writer, stages: dict[str, float], seconds: float, kept: int
) -> DeblurReport:
    loaded = setup.loaded
    return DeblurReport(
        source=job.source,
        target=job.target,
        frames=tally.frames,
        frames_changed=tally.changed,
        strength=tally.strength,
        held_back=tally.held_back,
        sharpness_before=tally.before,
        sharpness_after=tally.after,
        reasons=dict(tally.reasons.most_common()),
        model=loaded.model if loaded else None,
        weights=loaded.weights if loaded else None,
        weights_sha256=loaded.sha256 if loaded else None,
        device=str(setup.compute) if loaded else None,
        plan=str(setup.plan) if loaded else None,
        events=tuple(tally.events),
        seconds=seconds,
        frames_per_second=(tally.frames - kept) / seconds,
        stage_seconds=stages,
        bytes_before=contents_bytes(job.source),
        bytes_after=contents_bytes(job.target),
        receipt=writer.receipt.as_dict(),
        frames_resumed=kept,
    )
