"""Throughput: what a network does in a second on this machine, and the most its convolutions could."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from selfhvd_cli.device import Compute
from selfhvd_cli.ops.batches import some_by_some
from selfhvd_cli.restore.architectures import Architecture
from selfhvd_cli.restore.arrange import in_precision
from selfhvd_cli.restore.moving_picture import moving_picture
from selfhvd_cli.restore.plan import frames_together
from selfhvd_cli.restore.restorer import Restorer

ROOFLINE_SHAPES = ((64, 128), (128, 64), (256, 32))
"""Channels and side of the 3x3 convolutions whose best speed is taken for the machine's limit."""

ROOFLINE_SECONDS = 0.2
"""Time given to each of them."""

REPEATS, REPEAT_SECONDS = 6, 10.0
"""A network is timed so often at most, and not again after so many seconds. In the first two dozen 1080p frames fresh
memory is cleared for it: `lite` takes 0.75 s for one then, and 0.62 s after."""

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Throughput:
    """One network, in one precision, on frames of one size."""

    frames_per_second: float
    """Frames restored a second, those that only lend their content not counted."""

    gmac_a_frame: float
    """1e9 multiply-accumulates of convolutions and matrix products for one of them."""

    peak_memory: int
    """Bytes above what the loaded network takes."""

    @property
    def gmac_per_second(self) -> float:
        return self.gmac_a_frame * self.frames_per_second


def measure(
    restorer: Restorer, row: Architecture, compute: Compute, height: int, width: int, count: int
) -> Throughput:
    """Restore a short clip: first to count and to warm up, then to time.

    Args:
        restorer: on `compute.device`, in eval mode.
        height, width: of the frames, in pixels.
        count: frames of the clip; a network that selects frames restores the inner half of them.
    """
    frames = moving_picture(count, height, width).to(compute.device)
    kept = max(1, count // 2) if row.selects_frames else count
    keep = slice((count - kept) // 2, (count - kept) // 2 + kept)
    # A network that does more for a blurred frame among sharp ones shall do all it can.
    frames[keep] = F.avg_pool2d(frames[keep], 31, 1, 15, count_include_pad=False)
    steps = _steps(in_precision(restorer, compute.dtype), frames, keep)
    counter = FlopCounterMode(display=False)
    # No inference mode: the counter does not see operations in it.
    with torch.no_grad(), compute.autocast(), peak_memory(compute.device) as peak:
        if restorer.convention.remembers_frames:
            _seconds(steps, compute.device)  # a stream has met its earlier frames before
        with counter:
            _seconds(steps, compute.device)
        rounds: list[list[float]] = []
        while len(rounds) < REPEATS and sum(map(sum, rounds)) < REPEAT_SECONDS:
            rounds.append(_seconds(steps, compute.device))
    # The best of a few for every step, for whatever else runs on the machine only ever adds time.
    seconds = sum(min(step) for step in zip(*rounds, strict=True))
    return Throughput(kept / seconds, counter.get_total_flops() / 2e9 / kept, peak[0])


def _seconds(steps: Sequence[Callable[[], object]], device: torch.device) -> list[float]:
    """How long each step takes."""
    taken = []
    for step in steps:
        _wait(device)
        begun = time.perf_counter()
        step()
        _wait(device)
        taken.append(time.perf_counter() - begun)
    return taken


def _steps(restorer: Restorer, frames: Tensor, keep: slice) -> list[Callable[[], object]]:
    """What restores the frames of `keep` among `[T, 3, H, W]` as a stream would: some by some, or all at once."""
    if not restorer.convention.remembers_frames:
        return [lambda: restorer(frames.unsqueeze(0), keep)]
    shots = [restorer.shot(lambda frame=frame: frame) for frame in frames]  # type: ignore[misc]

    def step(targets: Sequence[int]) -> None:
        # One new frame for every result; the others have been met before.
        for target in targets:
            shots[target] = restorer.shot(lambda target=target: frames[target])  # type: ignore[misc]
        restorer.restore_shots([(shots, target) for target in targets], *frames.shape[-2:])

    wanted = range(*keep.indices(len(frames)))
    return [partial(step, targets) for targets in some_by_some(wanted, frames_together(frames.device))]


def roofline(compute: Compute) -> float:
    """1e9 multiply-accumulates a second of the fastest 3x3 convolution, in the precision and on the device."""
    return max(_convolution_speed(compute, channels, side) for channels, side in ROOFLINE_SHAPES)


@contextmanager
def peak_memory(device: torch.device) -> Iterator[list[int]]:
    """A list that holds, after the block, the most bytes the block took beyond what was in use before it."""
    peak = [0]
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield peak
        peak[0] = torch.cuda.max_memory_allocated(device) - before
        return
    if device.type == "mps":
        before = torch.mps.driver_allocated_memory()
        yield peak
        peak[0] = max(0, torch.mps.driver_allocated_memory() - before)
        return
    _give_back()
    before = _resident(peak=False)
    _forget_peak()
    yield peak
    peak[0] = max(0, _resident(peak=True) - before)


def _resident(peak: bool) -> int:
    """Bytes of main memory this process has now, or had at most."""
    try:
        name = "VmHWM:" if peak else "VmRSS:"
        line = next(line for line in _STATUS.read_text(encoding="ascii").splitlines() if line.startswith(name))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration, ValueError):
        try:
            import resource
        except ImportError:  # Windows
            return 0
        # Bytes on macOS, kilobytes elsewhere; only ever the peak of the whole run.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _give_back() -> None:
    """Let the C library return to the system what was freed, or the next run takes it up again unseen."""
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):  # no glibc
        return


def _forget_peak() -> None:
    """Let Linux begin the record of the peak anew; elsewhere the peak is that of the whole process."""
    try:
        _CLEAR.write_text("5", encoding="ascii")
    except OSError:
        return


def _convolution_speed(compute: Compute, channels: int, side: int) -> float:
    form = torch.contiguous_format if compute.device.type == "mps" else torch.channels_last
    picture = torch.randn(1, channels, side, side, device=compute.device, dtype=compute.dtype)
    kernel = torch.randn(channels, channels, 3, 3, device=compute.device, dtype=compute.dtype)
    picture, kernel = picture.contiguous(memory_format=form), kernel.contiguous(memory_format=form)
    work = 9 * channels * channels * side * side / 1e9
    best = 0.0
    with torch.inference_mode():
        F.conv2d(picture, kernel, padding=1)
        _wait(compute.device)
        ends = time.perf_counter() + ROOFLINE_SECONDS
        while (begun := time.perf_counter()) < ends:
            F.conv2d(picture, kernel, padding=1)
            _wait(compute.device)
            best = max(best, work / (time.perf_counter() - begun))
    return best


def _wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
