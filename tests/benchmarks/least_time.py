"""What a frame takes whatever its size: the whole command on pictures so small that they take hardly any time.

What is left is Python's and PyTorch's own: the commands of a frame given one by one, which no device, however fast,
makes fewer. It bounds the frames a second beside a GPU, which costs less or more for a command than these small
pictures do. Frames are restored some at a time, as they are there.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import torch
from whole_command import make_clip

from selfhvd_cli import deblur
from selfhvd_cli.restore.plan import TOGETHER

CHOICES = ("selfhvd_cli.restore.plan.frames_together", "selfhvd_cli.restore.throughput.frames_together")


def milliseconds(folder: Path, size: str, frames: int, together: int) -> float:
    """Of one more frame of a clip: what `frames` and a quarter of them differ by."""
    seconds = []
    with patch(CHOICES[0], lambda device: together), patch(CHOICES[1], lambda device: together):
        for length in (frames // 4, frames):
            clip = make_clip(folder, size, length)
            begun = time.perf_counter()
            deblur(clip, folder / "out.mp4", device="cpu", overwrite=True)
            seconds.append(time.perf_counter() - begun)
    return 1000 * (seconds[1] - seconds[0]) / (frames - frames // 4)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser("speed.py least", description=__doc__)
    parser.add_argument("--size", default="96x64", help="of the clips (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=400, help="default: %(default)s")
    parser.add_argument("--together", type=int, nargs="+", default=[1, 2, TOGETHER], help="frames at a time")
    parser.add_argument("--turns", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)  # more would wait for each other
    found: dict[int, list[float]] = {together: [] for together in chosen.together}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(chosen.turns):
            for together, times in found.items():
                times.append(milliseconds(Path(folder), chosen.size, chosen.frames, together))
    if chosen.json:
        print(json.dumps(found, indent=2))
        return
    print(f"{chosen.size}: milliseconds for a frame in {chosen.turns} turns; frames a second in the best")
    for together, times in found.items():
        print(f"{together} at a time", *(f"{each:8.1f}" for each in times), f"{1000 / min(times):8.0f}")
