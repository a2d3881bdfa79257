"""Benchmark of this machine: every network, precision and frame size, beside the machine's own limit."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import torch

from selfhvd_cli.deblurring.span import Span, expected_frames
from selfhvd_cli.device import DTYPES, Compute, Precision, choose_compute
from selfhvd_cli.errors import UsageFault, means_out_of_memory
from selfhvd_cli.restore.architectures import ARCHITECTURES
from selfhvd_cli.restore.estimate import seconds_a_frame
from selfhvd_cli.restore.load import Loaded, fresh_restorer
from selfhvd_cli.restore.memory import release
from selfhvd_cli.restore.plan import choose_plan, needed_memory
from selfhvd_cli.restore.throughput import Throughput, measure, roofline
from selfhvd_cli.steps import run_through
from selfhvd_cli.video.info import VideoInfo
from selfhvd_cli.video.reader import open_reader

SIZES = ((256, 256), (640, 360), (1280, 720), (1920, 1080))
"""Width and height of the frames."""

FRAMES = 6
"""Length of the clip a network is timed on."""

LIMIT = 20.0
"""Seconds a measurement may take; what would take longer is worked out from the next smaller size."""


@dataclass(frozen=True)
class BenchJob:
    """What to measure."""

    models: tuple[str, ...] = tuple(ARCHITECTURES)
    """Names of `ARCHITECTURES`."""

    precisions: tuple[Precision, ...] = ()
    """auto, fp32, bf16, fp16; empty takes fp32 and what `auto` means on the device."""

    sizes: tuple[tuple[int, int], ...] = SIZES
    """(width, height), in pixels."""

    device: str = "auto"
    """As for `choose_compute`."""

    frames: int = FRAMES
    """Of the clip that is restored."""

    limit: float = LIMIT
    """Seconds a measurement may take."""

    clip: Path | None = None
    """A clip to estimate the time of."""

    def __post_init__(self) -> None:
        for model in self.models:
            if model not in ARCHITECTURES:
                raise UsageFault(f"--model {model}: no such network; choose one of {', '.join(ARCHITECTURES)}.")
        if self.frames < 1 or any(side < 16 for size in self.sizes for side in size):
            raise UsageFault(f"--frames and --size: at least 1 frame of 16x16, got {self.frames} of {self.sizes}.")


@dataclass(frozen=True)
class BenchRow:
    """One network in one precision on frames of one size."""

    model: str
    precision: str
    size: tuple[int, int]
    """Width and height."""

    measured: bool
    """False where the figures come from a smaller size by the number of pixels."""

    frames_per_second: float | None
    """None where the device ran out of memory."""

    gmac_a_frame: float | None
    """1e9 multiply-accumulates."""

    gmac_per_second: float | None

    roofline_share: float | None
    """Of the fastest convolution in that precision."""

    peak_memory: int | None
    """Bytes above what the network's weights take."""


@dataclass(frozen=True)
class Estimate:
    """What `selfhvd deblur` would take for the clip, windows and tiles fitted to the memory there is."""

    model: str
    precision: str
    frames: int | None
    seconds: float | None
    """The network's; None where the container does not say how many frames there are."""

    memory: int
    """Bytes."""

    plan: str
    """Windows and tiles."""


@dataclass(frozen=True)
class BenchReport:
    """What was measured."""

    device: str
    torch: str
    threads: int
    rooflines: dict[str, float]
    """Precision → 1e9 multiply-accumulates a second of the fastest 3x3 convolution."""

    rows: tuple[BenchRow, ...]
    clip: str | None
    estimates: tuple[Estimate, ...]


@dataclass(frozen=True)
class BenchProgress:
    """Where a benchmark is."""

    doing: str
    """What is measured next, in words."""

    done: int
    total: int
    row: BenchRow | None = None
    """The row just finished."""

    report: BenchReport | None = None
    """With the last one."""


def bench(
    clip: str | PathLike[str] | None = None,
    *,
    models: Sequence[str] = tuple(ARCHITECTURES),
    precisions: Sequence[Precision] = (),
    sizes: Sequence[tuple[int, int]] = SIZES,
    device: str = "auto",
    frames: int = FRAMES,
    limit: float = LIMIT,
    on_progress: Callable[[BenchProgress], None] | None = None,
) -> BenchReport:
    """Measure; the twin of `selfhvd bench`.

    Args:
        clip: to estimate the time of; the other arguments are those of `BenchJob`.
        on_progress: called with every report of the run.

    Raises:
        UsageFault: there is no such network, device or precision.
        InputFault: the clip cannot be read.
        EnvironmentFault: the device is not on this machine.
    """
    job = BenchJob(
        tuple(models), tuple(precisions), tuple(sizes), device, frames, limit, None if clip is None else Path(clip)
    )
    return run_through(bench_steps(job), lambda step: step.report, on_progress)


def bench_steps(job: BenchJob) -> Generator[BenchProgress, None, None]:
    """Do a job, reporting before every measurement and after every row; the last report holds the `BenchReport`."""
    computes = _computes(job)
    compute = computes[0]
    clip = None if job.clip is None else _look_at(job.clip)
    total = len(computes) + len(job.models) * (len(computes) * len(job.sizes) + (job.clip is not None))
    done = 0
    rooflines = {}
    for each in computes:
        yield BenchProgress(f"the fastest convolution in {_name(each)}", done, total)
        rooflines[_name(each)] = roofline(each)
        done += 1
    rows: list[BenchRow] = []
    estimates = []
    for model in job.models:
        torch.manual_seed(0)
        loaded = fresh_restorer(model, compute.device)
        for each in computes:
            known: BenchRow | None = None
            for size in sorted(job.sizes, key=lambda size: size[0] * size[1]):
                yield BenchProgress(f"{model} in {_name(each)} at {size[0]}x{size[1]}", done, total)
                known = _row(job, loaded, each, size, rooflines[_name(each)], known)
                rows.append(known)
                done += 1
                yield BenchProgress(f"{model} in {_name(each)}", done, total, row=known)
        if clip is not None:
            yield BenchProgress(f"{model} on {job.clip}", done, total)
            estimates.append(_estimate(*clip, loaded, computes[-1]))
            done += 1
    report = BenchReport(
        f"{compute.device} ({compute.reason})", torch.__version__, torch.get_num_threads(), rooflines, tuple(rows),
        None if job.clip is None else str(job.clip), tuple(estimates),
    )  # fmt: skip
    yield BenchProgress("done", total, total, report=report)


def _computes(job: BenchJob) -> list[Compute]:
    """One a precision, each once."""
    auto = choose_compute(job.device)
    if not job.precisions:
        exact = replace(auto, dtype=torch.float32)
        return [exact] if auto == exact else [exact, auto]
    chosen = [choose_compute(job.device, precision) for precision in job.precisions]
    return list(dict.fromkeys(chosen))


def _row(
    job: BenchJob, loaded: Loaded, compute: Compute, size: tuple[int, int], limit: float, smaller: BenchRow | None
) -> BenchRow:
    """Measured, or worked out from the next smaller size where it would take too long."""
    width, height = size
    blank = BenchRow(loaded.model, _name(compute), size, True, None, None, None, None, None)
    if smaller is not None and smaller.frames_per_second and smaller.gmac_a_frame and smaller.peak_memory is not None:
        times = width * height / (smaller.size[0] * smaller.size[1])
        # The clip is restored twice at least.
        if 2 * job.frames * times / smaller.frames_per_second > job.limit:
            return replace(
                smaller,
                size=size,
                measured=False,
                frames_per_second=smaller.frames_per_second / times,
                gmac_a_frame=smaller.gmac_a_frame * times,
                peak_memory=int(smaller.peak_memory * times),
            )
    try:
        found: Throughput = measure(loaded.restorer, loaded.architecture, compute, height, width, job.frames)
    except (RuntimeError, MemoryError) as fault:
        if not means_out_of_memory(fault):
            raise
    else:
        return replace(
            blank,
            frames_per_second=found.frames_per_second,
            gmac_a_frame=found.gmac_a_frame,
            gmac_per_second=found.gmac_per_second,
            roofline_share=found.gmac_per_second / limit,
            peak_memory=found.peak_memory,
        )
    # Outside the handler, where nothing refers to the failed attempt's tensors any more.
    release(compute.device)
    return blank


def _look_at(clip: Path) -> tuple[VideoInfo, int | None]:
    """What a clip is, and how many frames it has, as far as its container says."""
    with open_reader(clip) as reader:
        return reader.info, expected_frames(reader.info, Span())


def _estimate(info: VideoInfo, frames: int | None, loaded: Loaded, compute: Compute) -> Estimate:
    row = loaded.architecture
    plan = choose_plan(row, info.height, info.width, compute)
    each = seconds_a_frame(loaded.restorer, row, plan, compute, info.height, info.width)
    return Estimate(
        loaded.model,
        _name(compute),
        frames,
        None if frames is None else each * frames,
        needed_memory(row, plan, info.height, info.width, compute.dtype),
        str(plan),
    )


def _name(compute: Compute) -> str:
    return next(name for name, dtype in DTYPES.items() if dtype == compute.dtype)
