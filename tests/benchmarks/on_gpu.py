"""All that only a GPU can show, in one go and within given minutes: tests, identity of arithmetic, speed, training.

`python tests/benchmarks/on_gpu.py FOLDER` leaves one file a piece in FOLDER, whole or as far as its time went, and
prints how each ended. The most telling pieces come first; a piece begins only where some of its time is left.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SPEED = ("tests/benchmarks/speed.py",)
SELFHVD = ("-m", "selfhvd_cli")

PIECES = {
    "doctor": (60, (*SELFHVD, "doctor")),
    "tests": (150, ("-m", "pytest", "-q", "-n", "0", "-m", "gpu", "tests/restore")),
    "whole-command": (180, (*SPEED, "cuda", "--frames", "300", "--device", "{device}")),
    "bench-lite": (90, (*SELFHVD, "bench", "--model", "lite", "--size", "1920x1080", "--device", "{device}")),
    "adapt": (120, (*SPEED, "adapt", "--device", "{device}", "--turns", "1")),
    "start": (60, (*SPEED, "start", "--device", "{device}", "--rounds", "2")),
    "bench-networks": (150, (*SELFHVD, "bench", "--size", "1280x720", "--limit", "10", "--device", "{device}")),
    "adapt-network": (150, (*SPEED, "adapt", "--device", "{device}", "--turns", "1", "--model", "basicvsrpp",
                            "--init", "scratch", "--crop", "256", "--steps", "10")),
}  # fmt: skip
"""Piece → seconds it may take and what Python runs for it."""

LEAST = 20
"""Seconds below which no piece begins."""


def main() -> None:
    parser = argparse.ArgumentParser("on_gpu.py", description=__doc__)
    parser.add_argument("folder", type=Path, help="gets one file a piece")
    parser.add_argument("--device", default="cuda", help="default: %(default)s")
    parser.add_argument("--minutes", type=float, default=12, help="for all pieces (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=PIECES, default=list(PIECES), help="default: all")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60 * chosen.minutes
    for name in chosen.only:
        limit, words = PIECES[name]
        left = end - time.monotonic()
        if left < LEAST:
            print(f"{name}: not begun, the time is over", flush=True)
            continue
        command = [sys.executable, *(word.format(device=chosen.device) for word in words)]
        begin = time.monotonic()
        ended = _run(command, chosen.folder / f"{name}.txt", min(limit, left))
        print(f"{name}: {ended} after {time.monotonic() - begin:.0f} s", flush=True)


def _run(command: list[str], target: Path, limit: float) -> str:
    """Run one piece with everything that it prints in `target`; how it ended."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
    with (
        target.open("w") as file,
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=file, stderr=file, start_new_session=True
        ) as process,
    ):
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with the runs that it measures
            return f"stopped at its limit of {limit:.0f} s"
    return "passed" if code == 0 else f"ended with {code}"


if __name__ == "__main__":
    main()
