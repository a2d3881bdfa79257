"""The whole command on a GPU: how long it idles, frames a second, and what bounds them."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from outside_network import profiled, show
from whole_command import make_clip


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser("speed.py cuda", description=__doc__)
    parser.add_argument("--size", default="1920x1080", help="of the clip (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=300, help="of the clip (default: %(default)s)")
    parser.add_argument("--device", default="cuda", help="default: %(default)s")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    reason = _why_not(chosen.device)
    if reason:
        print(f"skipped: {reason}")
        return
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        clip = make_clip(Path(folder), chosen.size, chosen.frames)
        # The first run of a network tries its precision and fills caches; it does not count.
        profiled(clip, "--device", chosen.device)
        for name, options in (("x264", ()), ("hardware", ("--hardware",))):
            found[name] = profiled(clip, "--device", chosen.device, *options)
        os.environ["TRACE"] = "1"
        found["traced"] = profiled(clip, "--device", chosen.device)
    if chosen.json:
        print(json.dumps({name: {**told, **_result(told)} for name, told in found.items()}, indent=2))
        return
    for name, told in found.items():
        result = _result(told)
        print(f"--- {name}")
        show(told, chosen.size, chosen.frames)
        stages = ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in told["report"]["stage_seconds"].items())
        print(
            f"{result['frames_per_second']:.1f} frames/s once it runs (1080p on an H200: must be at least 60);",
            end=" ",
        )
        print(f"bounded by {result['bounded_by']}: {stages}")
        if told["gpu"] is not None:
            print(f"GPU idle {result['idle']:.0%} of the time (must be at most 20 %),", end=" ")
            print(f"at most {told['peak_device_memory'] / 2**30:.2f} GiB of its memory")


def _result(told: dict[str, Any]) -> dict[str, Any]:
    running = told["total"] - told["until_network"]
    stages = told["report"]["stage_seconds"]
    return {
        "frames_per_second": told["report"]["frames"] / running,
        "bounded_by": max(stages, key=lambda stage: stages[stage]),
        "idle": None if told["gpu"] is None else 1 - told["gpu"] / running,
    }


def _why_not(device: str) -> str:
    """Why nothing can be measured; empty if it can. Asked in another process, so that this one stays small."""
    script = "import sys; from selfhvd_cli.device import choose_compute; print(choose_compute(sys.argv[1]))"
    asked = subprocess.run([sys.executable, "-c", script, device], capture_output=True, text=True, check=False)
    return "" if asked.returncode == 0 else asked.stderr.strip().splitlines()[-1]
