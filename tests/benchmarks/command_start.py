"""How soon the command answers: its help, and the first frame of a clip."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from whole_command import deblur, make_clip, quickest, run


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser("speed.py start", description=__doc__)
    parser.add_argument("--size", default="1280x720", help="of the clip (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=40, help="of the clip (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="the best counts (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="of torch; default: as many as it takes")
    parser.add_argument("--device", default="cpu", help="default: %(default)s")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    helped = [run([sys.executable, "-m", "selfhvd_cli", "--help"]) for _ in range(chosen.rounds)]
    with tempfile.TemporaryDirectory() as folder:
        clip = make_clip(Path(folder), chosen.size, chosen.frames)
        runs = [deblur(clip, "--device", chosen.device, threads=chosen.threads) for _ in range(chosen.rounds)]
    found = {
        "help_seconds": quickest(helped, lambda each: each.wall),
        "size": chosen.size,
        "first_frame_seconds": quickest(runs, lambda each: each.first_frame or each.wall),
        "seconds_a_frame": quickest(runs, lambda each: (each.wall - (each.first_frame or 0)) / (chosen.frames - 1)),
    }
    if chosen.json:
        print(json.dumps(found, indent=2))
        return
    print(f"selfhvd --help: {found['help_seconds']:.2f} s (must be below 0.3)")
    print(f"first frame of {chosen.size} encoded after {found['first_frame_seconds']:.1f} s (must be below 6)")
    print(f"every further one: {found['seconds_a_frame']:.2f} s")
