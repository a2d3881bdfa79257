"""Runs of the whole command for the benchmarks: clips of any size, and processes with their times and memory."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "handheld.mp4"


@dataclass(frozen=True)
class Run:
    """One finished process."""

    wall: float
    """Seconds from its start to its end."""

    processor: float
    """Seconds of all its threads."""

    memory: float
    """Peak, MiB. Of a process that was started by a small one: Linux counts what the starter had."""

    said: str
    """Its stderr."""

    answer: str
    """Its stdout."""

    first_frame: float | None = None
    """Seconds from its start until the first frame was encoded."""

    report: dict[str, Any] = field(default_factory=dict)
    """Of `deblur --json`, of its only clip."""


def make_clip(folder: Path, size: str, frames: int) -> Path:
    """The example, scaled to WIDTHxHEIGHT and repeated until it is long enough, without sound."""
    import imageio_ffmpeg

    path = folder / f"{size}_{frames}.mp4"
    if not path.exists():
        subprocess.run(
            [
                imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-stream_loop", "-1", "-i", str(EXAMPLE),
                "-frames:v", str(frames), "-vf", f"scale={size.replace('x', ':')}:flags=bicubic", "-an",
                "-c:v", "libx264", "-preset", "veryfast", "-crf", "20", str(path),
            ],
            check=True,
        )  # fmt: skip
    return path


def run(command: Sequence[str], threads: int | None = None, data_limit: int | None = None) -> Run:
    """Run a command to its end and measure it.

    Args:
        threads: of torch; None is as many as it takes.
        data_limit: bytes of memory the process may have.
    """

    def limit() -> None:
        assert data_limit is not None
        resource.setrlimit(resource.RLIMIT_DATA, (data_limit, data_limit))

    environment = {**os.environ, "BEGUN": repr(time.time())}
    environment.pop("OMP_NUM_THREADS", None)
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    with tempfile.TemporaryFile("w+") as out:
        begun = time.perf_counter()
        process = subprocess.Popen(
            list(command), env=environment, stdout=out, stderr=subprocess.PIPE, text=True,
            preexec_fn=limit if data_limit else None,
        )  # fmt: skip
        assert process.stderr is not None
        lines, first = [], None
        for line in process.stderr:
            lines.append(line)
            if first is None and line.startswith("{") and _encoded(line):
                first = time.perf_counter() - begun
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        answer = out.read()
    said = "".join(lines)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{said[-3000:]}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, said, answer, first)


def _encoded(line: str) -> bool:
    try:
        state = json.loads(line)
    except ValueError:
        return False
    return bool(state.get("phase") == "deblur" and state.get("done", 0) >= 1)


def deblur(
    clip: Path,
    *options: str,
    threads: int | None = None,
    data_limit: int | None = None,
    program: Sequence[str] = ("-m", "selfhvd_cli"),
) -> Run:
    """`selfhvd deblur` of one clip; the result is thrown away.

    Args:
        program: what Python runs as the command.
    """
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / f"out{clip.suffix}"
        done = run(
            [
                sys.executable, *program, "deblur", str(clip), "-o", str(target), "--offline", "--json",
                "--progress", "json", *options,
            ],
            threads,
            data_limit,
        )  # fmt: skip
    report = json.loads(done.answer)["done"][0]
    return Run(done.wall, done.processor, done.memory, done.said, done.answer, done.first_frame, report)


def quickest(runs: Sequence[Run], seconds: Callable[[Run], float]) -> float:
    """The least of some seconds: other work on the machine only ever adds."""
    return min(seconds(each) for each in runs)
