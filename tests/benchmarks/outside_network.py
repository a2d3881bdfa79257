"""How much of the whole command is not the network's: a profile of a run on the CPU.

Decoding and encoding have threads of their own beside the network's, so two shares are given: of the time the command
takes, and of the work it does (processor seconds).
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from whole_command import deblur, make_clip

MAIN = ("network", "guard")
"""Stages in the command's own thread."""


def profiled(clip: Path, *options: str, threads: int | None = None) -> dict[str, Any]:
    """A run with clocks in it, its report with it."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told.json"
        script = str(Path(__file__).parent / "command_profile.py")
        done = deblur(clip, *options, threads=threads, program=(script, str(told)))
        found: dict[str, Any] = json.loads(told.read_text(encoding="utf-8"))
    return {**found, "report": done.report, "wall_of_process": done.wall, "memory": done.memory}


def shares(told: dict[str, Any]) -> dict[str, float]:
    """Shares of the time and of the work outside the network."""
    running = told["total"] - told["until_network"]
    network = told["wall"]["network"]
    return {
        "of_the_command": 1 - network / told["total"],
        "of_the_command_once_it_runs": 1 - network / running,
        "of_the_work": 1 - told["thread_processor"]["network"] / told["processor"],
    }


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser("speed.py outside", description=__doc__)
    parser.add_argument("--size", default="1920x1080", help="of the clip (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=60, help="of the clip (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of torch (default: %(default)s)")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        clip = make_clip(Path(folder), chosen.size, chosen.frames)
        told = profiled(clip, "--device", "cpu", threads=chosen.threads)
    found = shares(told)
    if chosen.json:
        print(json.dumps({**told, "shares": found}, indent=2))
        return
    show(told, chosen.size, chosen.frames)
    print(f"outside the network: {found['of_the_command']:.1%} of the time of the command,", end=" ")
    print(f"{found['of_the_command_once_it_runs']:.1%} once the network has begun", end="")
    if chosen.threads == 1:
        print(f"; {found['of_the_work']:.1%} of the work", end="")
    print(" (must be at most 15 %)")


def show(told: dict[str, Any], size: str, frames: int) -> None:
    """The profile as a table."""
    total = told["total"]
    print(f"{size}, {frames} frames: {total:.1f} s, {frames / total:.2f} frames/s, {told['report']['device']}")
    print(f"{'stage':<20} {'seconds':>8} {'share':>7} {'own thread':>11}")
    rows = {"until the network begins": told["until_network"]}
    rows.update({stage: told["wall"].get(stage, 0.0) for stage in MAIN})
    rows["waiting, ending, rest"] = max(0.0, total - sum(rows.values()))
    for stage, seconds in rows.items():
        busy = told["thread_processor"].get(stage)
        own = f"{busy:>10.2f}s" if busy is not None else ""
        print(f"{stage:<25} {seconds:>8.2f} {seconds / total:>7.1%} {own}")
    for stage in sorted(set(told["wall"]) - set(MAIN)):
        seconds, busy = told["wall"][stage], told["thread_processor"][stage]
        print(f"{'beside it: ' + stage:<25} {seconds:>8.2f} {seconds / total:>7.1%} {busy:>10.2f}s")
