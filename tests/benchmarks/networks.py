"""What the networks cost: `python tests/benchmarks/networks.py [NAME ...] [--json]`.

Per network its parameters, multiply-accumulates of one more 720p frame (or of a pair, for flow) counted on tensors
without values, wall and processor seconds a 256x256 frame, and the peak memory of that run above the loaded network.
Every network is run in a process of its own. Restoration networks run behind their convention on a clip: the frames
that borders cost are in the seconds, not in the multiply-accumulates. Processor seconds with
`--threads 1` are comparable on a machine that has other work, too.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parent.parent))

import parity

from selfhvd_cli.device import DTYPES
from selfhvd_cli.restore.architectures import ARCHITECTURES
from selfhvd_cli.restore.arrange import arrange


@dataclass(frozen=True)
class Cost:
    """The row of one network."""

    network: str
    parameters: int
    gmac_720p: float
    """1e9 multiply-accumulates of one more 1280x720 frame in a long clip, or of a pair."""

    seconds_256: float
    """Seconds a 256x256 frame, or a pair."""

    processor_seconds_256: float
    """The same as time of all threads on processor cores, without waiting."""

    peak_mib: float
    """Largest memory of that run above what the loaded network takes, in MiB."""

    frames: int
    """Frames of the timed clip; 1 for a pair."""


Run = Callable[[nn.Module, Tensor], object]
"""Feeds frames `[1, T, 3, H, W]` in [0, 1] to a network."""


def as_clip(module: nn.Module, frames: Tensor) -> object:
    return module(frames)


def as_pair(module: nn.Module, frames: Tensor) -> object:
    """At full size; SEA-RAFT's official half size costs a quarter."""
    return module(frames[:, 0], frames[:, 1])


def as_raft(module: nn.Module, frames: Tensor) -> object:
    return module(frames[:, 0] * 2 - 1, frames[:, 1] * 2 - 1)


FLOW: Mapping[str, Run] = {
    "sea_raft_spring_m": as_pair,
    "sea_raft_spring_s": as_pair,
    "flowformerpp": as_pair,
    "raft_large": as_raft,
}
"""Networks for a pair of frames, by their name among the golden numbers, and how they are fed."""

NAMES = (*ARCHITECTURES, *FLOW)


def build(name: str, device: str) -> nn.Module:
    """The network of a row, restoration networks behind their convention."""
    if name in ARCHITECTURES:
        return ARCHITECTURES[name].restorer().to(device).eval()
    return parity.NETWORKS[name].build().to(device).eval()


def multiply_accumulates(name: str) -> float:
    """GMAC of one more 720p frame: half of what six frames take beyond four; of a pair, what it takes."""
    if name in FLOW:
        return count(name, 2)
    if ARCHITECTURES[name].convention.selects_frames:
        # It looks at the frames to choose some, which tensors without values do not allow; the work goes with pixels.
        size = (512, 512)
        return (count(name, 6, size) - count(name, 4, size)) / 2 * (720 * 1280) / (size[0] * size[1])
    return (count(name, 6) - count(name, 4)) / 2


def count(name: str, frames: int, size: tuple[int, int] | None = None) -> float:
    """GMAC of a clip of so many frames: 720p frames without values, or real ones of another size."""
    counter = FlopCounterMode(display=False)
    module = build(name, "cpu")
    with torch.no_grad(), nullcontext() if size else FakeTensorMode(allow_non_fake_inputs=True):
        clip = parity.moving_pictures((1, frames, 3, *size), 1) if size else torch.zeros(1, frames, 3, 720, 1280)
        with counter:
            run_of(name)(module, clip)
    return counter.get_total_flops() / 2e9


def run_of(name: str) -> Run:
    return FLOW.get(name, as_clip)


def measure(name: str, device: str, precision: str, frames: int, threads: int, channels_last: bool) -> Cost:
    """Build, count and time one network; in a process of its own, so that the peak is this network's."""
    torch.set_num_threads(threads)
    module = build(name, device)
    if channels_last:
        arrange(module, torch.device(device))
    length = frames if name in ARCHITECTURES else 1
    clip = parity.moving_pictures((1, frames if name in ARCHITECTURES else 2, 3, 256, 256), seed=1).to(device)
    run = run_of(name)
    before = memory(device)
    with torch.no_grad(), autocast(device, precision):
        seconds = [timed(run, module, clip, device)]
        # The first call also pays for what later calls find prepared.
        while len(seconds) < 4 and sum(wall for wall, _ in seconds) < 20:
            seconds.append(timed(run, module, clip, device))
    peak = (memory(device, peak=True) - before) / 2**20
    parameters = sum(p.numel() for p in module.parameters())
    wall, busy = (min(column) / length for column in zip(*seconds, strict=True))
    # Counted last: the pictures it makes would count as this network's memory.
    gmac = multiply_accumulates(name)
    return Cost(name, parameters, gmac, wall, busy, peak, length)


def autocast(device: str, precision: str) -> AbstractContextManager[object]:
    return nullcontext() if precision == "fp32" else torch.autocast(torch.device(device).type, DTYPES[precision])


def timed(run: Run, module: nn.Module, clip: Tensor, device: str) -> tuple[float, float]:
    """Wall and processor seconds of one call."""
    wall, busy = time.perf_counter(), time.process_time()
    run(module, clip)
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - busy


def memory(device: str, peak: bool = False) -> int:
    """Bytes in use now, or at most so far: of the device, or of this process for the CPU."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() if peak else torch.cuda.memory_allocated()
    if peak:
        # Kilobytes on Linux, bytes on macOS.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    status = Path("/proc/self/statm")
    if not status.exists():
        return memory(device, peak=True)
    return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def processor() -> str:
    info = Path("/proc/cpuinfo")
    names = info.read_text().split("model name\t: ")[1:] if info.exists() else []
    return names[0].splitlines()[0] if names else platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; default: all there are")
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the table")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=sorted(DTYPES), default="fp32")
    parser.add_argument("--frames", type=int, default=10, help="length of the timed clip (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--channels-last", action="store_true", help="convolution weights in channels-last layout")
    chosen = parser.parse_args()
    unknown = set(chosen.names) - set(NAMES)
    if unknown:
        parser.error(f"no network {', '.join(sorted(unknown))}; choose of {', '.join(NAMES)}")
    where = torch.cuda.get_device_name(chosen.device) if chosen.device.startswith("cuda") else processor()
    settings = {
        "device": chosen.device,
        "processor": where,
        "threads": chosen.threads,
        "precision": chosen.precision,
        "channels_last": chosen.channels_last,
        "torch": torch.__version__,
    }
    if not chosen.json:
        print(", ".join(f"{key} {value}" for key, value in settings.items()))
        print(
            f"{'network':<18} {'parameters':>11} {'GMAC 720p':>10} {'s at 256x256':>13} {'processor s':>12} "
            f"{'peak MiB':>9}  frames"
        )
    rows = []
    for name in chosen.names or NAMES:
        options = (name, chosen.device, chosen.precision, chosen.frames, chosen.threads, chosen.channels_last)
        with multiprocessing.get_context("spawn").Pool(1) as alone:
            try:
                cost = alone.apply(measure, options)
            except ImportError as error:
                print(f"{name}: not built here: {error}", file=sys.stderr)
                continue
        rows.append(asdict(cost))
        if not chosen.json:
            print(
                f"{cost.network:<18} {cost.parameters:>11,} {cost.gmac_720p:>10.1f} {cost.seconds_256:>13.3f} "
                f"{cost.processor_seconds_256:>12.3f} {cost.peak_mib:>9.0f}  {cost.frames}",
                flush=True,
            )
    if chosen.json:
        print(json.dumps({**settings, "networks": rows}, indent=2))


if __name__ == "__main__":
    main()
