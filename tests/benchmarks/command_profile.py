"""The command with clocks in it: `python tests/benchmarks/command_profile.py OUT.json deblur CLIP ...`.

Writes what each stage took, in wall seconds and in processor seconds of the thread it ran in; with one thread of
torch the latter are exact. BEGUN in the environment is the time at which the process was started. With TRACE=1 and
CUDA also how long the GPU was at work.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import wraps
from importlib import import_module
from inspect import isgeneratorfunction
from pathlib import Path
from typing import Any

STAGES = (
    ("network", "selfhvd_cli.restore.restorer", "Restorer.forward"),
    ("network", "selfhvd_cli.restore.restorer", "Restorer.shot"),
    ("network", "selfhvd_cli.restore.restorer", "Restorer.restore_shots"),
    ("guard", "selfhvd_cli.restore.outcome", "judge"),
    ("packing", "selfhvd_cli.restore.held", "pack"),
    ("planes to RGB", "selfhvd_cli.video.frame", "to_rgb"),
    ("copying planes", "selfhvd_cli.video.frame", "codes_of"),
    ("copying planes", "selfhvd_cli.video.codes", "Codes.write_into"),
    ("change to planes", "selfhvd_cli.video.restored_picture", "add_change"),
    ("encode", "selfhvd_cli.video.picture_stream", "PictureStream._encode"),
    ("decode", "selfhvd_cli.deblur_video", "_decoded"),
    ("writing", "selfhvd_cli.video.writer", "VideoWriter.write"),
)
"""What is measured, and where it is; stages within others are taken off those."""


class Clocks:
    """Wall and processor seconds of each stage, without those of the stages within it."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = defaultdict(float)
        self.processor: dict[str, float] = defaultdict(float)
        self.threads: dict[str, str] = {}
        self.first: dict[str, float] = {}
        self._open = threading.local()

    def measured(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time counted."""

        @wraps(function)
        def counted(*arguments: Any, **named: Any) -> Any:
            within = self._open.__dict__.setdefault("stack", [])
            within.append([0.0, 0.0])
            wall, processor = time.perf_counter(), time.thread_time()
            self.first.setdefault(stage, time.time())
            try:
                return function(*arguments, **named)
            finally:
                spent = (time.perf_counter() - wall, time.thread_time() - processor)
                inside = within.pop()
                self.wall[stage] += spent[0] - inside[0]
                self.processor[stage] += spent[1] - inside[1]
                self.threads[stage] = threading.current_thread().name
                if within:
                    within[-1][0] += spent[0]
                    within[-1][1] += spent[1]

        return counted

    def measured_items(self, stage: str, function: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        """The generator, the time counted that each of its items takes."""

        @wraps(function)
        def counted(*arguments: Any, **named: Any) -> Iterator[Any]:
            ended = object()
            items = function(*arguments, **named)
            take = self.measured(stage, lambda: next(items, ended))
            while (item := take()) is not ended:
                yield item

        return counted

    def put_in(self, stage: str, module: str, name: str) -> None:
        """Measure a function of a module, or of a class in it."""
        owner: Any = import_module(module)
        *path, last = name.split(".")
        for part in path:
            owner = getattr(owner, part)
        found = getattr(owner, last)
        measured = self.measured_items if isgeneratorfunction(found) else self.measured
        setattr(owner, last, measured(stage, found))


def gpu_seconds(trace: Any) -> float:
    """How long at least one kernel or copy was under way."""
    from torch.autograd import DeviceType

    spans = sorted(
        (event.time_range.start, event.time_range.end)
        for event in trace.events()
        if event.device_type == DeviceType.CUDA
    )
    total, reached = 0.0, 0.0
    for begin, end in spans:
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total / 1e6


def main() -> None:
    target = Path(sys.argv.pop(1))
    begun = float(os.environ.get("BEGUN", time.time()))
    from selfhvd_cli.cli import main as command
    from selfhvd_cli.heap import keep_large_blocks
    from selfhvd_cli.waiting import wait_asleep

    keep_large_blocks()
    wait_asleep()
    clocks = Clocks()
    for stage, module, name in STAGES:
        clocks.put_in(stage, module, name)
    import torch

    tracing = bool(os.environ.get("TRACE")) and torch.cuda.is_available()
    trace = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) if tracing else nullcontext()
    try:
        with trace:
            command()
    except SystemExit as end:
        if end.code:
            raise
    ended = time.time()
    told = {
        "total": ended - begun,
        "until_network": clocks.first.get("network", ended) - begun,
        "processor": time.process_time(),
        "wall": dict(clocks.wall),
        "thread_processor": dict(clocks.processor),
        "threads": clocks.threads,
        "gpu": gpu_seconds(trace) if tracing else None,
        "peak_device_memory": torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None,
    }
    target.write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main()
