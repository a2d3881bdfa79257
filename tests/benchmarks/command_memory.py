"""Peak memory of the whole command against length, resolution and window of a clip, and under a limit."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from whole_command import deblur, make_clip

SIZES = ("640x480", "1280x720", "1920x1080", "2560x1440", "3840x2160")
WINDOWS = (4, 8, 16, 32)
LENGTHS = (30, 60, 120, 240)


@dataclass(frozen=True)
class Row:
    """One run."""

    part: str
    size: str
    frames: int
    window: str
    limit_gb: float | None
    """Memory the process was allowed."""

    peak_mib: float
    frames_per_second: float
    plan: str
    """Windows and tiles it chose; more, where it had to shrink them."""


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser("speed.py memory", description=__doc__)
    parser.add_argument("--parts", default="length,size,window,limit", help="default: %(default)s")
    parser.add_argument("--sizes", default=",".join(SIZES), help="default: %(default)s")
    parser.add_argument("--lengths", default=",".join(map(str, LENGTHS)), help="in frames (default: %(default)s)")
    parser.add_argument("--windows", default=",".join(map(str, WINDOWS)), help="default: %(default)s")
    parser.add_argument("--small", default="640x480", help="size for lengths and windows (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=40, help="for sizes and windows (default: %(default)s)")
    parser.add_argument("--limit", type=float, default=8.0, help="GB for the last part, at the largest size (8)")
    parser.add_argument("--threads", type=int, help="of torch; default: as many as it takes")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for row in _rows(chosen, Path(folder)):
            rows.append(asdict(row))
            if not chosen.json:
                limit = "" if row.limit_gb is None else f" of {row.limit_gb:g} GB allowed"
                print(
                    f"{row.part:<7} {row.size:>9}, {row.frames:>4} frames, window {row.window:>4}: "
                    f"{row.peak_mib:>6.0f} MiB{limit}, {row.frames_per_second:.2f} frames/s ({row.plan})",
                    flush=True,
                )
    if chosen.json:
        print(json.dumps(rows, indent=2))


def _rows(chosen: argparse.Namespace, folder: Path) -> Iterator[Row]:
    parts, sizes = chosen.parts.split(","), chosen.sizes.split(",")
    if "length" in parts:
        for frames in map(int, chosen.lengths.split(",")):
            yield _row("length", folder, chosen.small, frames, "auto", chosen.threads)
    if "size" in parts:
        for size in sizes:
            yield _row("size", folder, size, chosen.frames, "auto", chosen.threads)
    if "window" in parts:
        for window in chosen.windows.split(","):
            yield _row("window", folder, chosen.small, chosen.frames, window, chosen.threads)
    if "limit" in parts:
        yield _row("limit", folder, sizes[-1], chosen.frames, "auto", chosen.threads, chosen.limit)


def _row(
    part: str, folder: Path, size: str, frames: int, window: str, threads: int | None, limit: float | None = None
) -> Row:
    clip = make_clip(folder, size, frames)
    options = ["--device", "cpu", "--window", window]
    data_limit = None
    if limit is not None:
        data_limit = int(limit * 1e9)
        # A machine of so much memory has an eighth of it in use by others.
        options += ["--max-memory", f"{int(limit * 1e9 * 7 / 8 / 2**20)}M"]
    done = deblur(clip, *options, threads=threads, data_limit=data_limit)
    plan = "; ".join([done.report["plan"], *done.report["events"]])
    return Row(part, size, frames, window, limit, done.memory, frames / done.wall, plan)
