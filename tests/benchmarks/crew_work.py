"""What the first process does for each frame that others restore: it sends them windows and takes their results.

That bounds the frames a second of several GPUs on one clip, beside what `host` counts. The processes run here on the
CPU, frames come as planes, and the first one makes no RGB, as where there are GPUs; seconds of its own threads alone
are counted, so it does not matter that the others are slow.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from whole_command import make_clip

from selfhvd_cli.deblurring.setup import CREW_ADVANCE
from selfhvd_cli.device import Compute, choose_compute
from selfhvd_cli.restore.architectures import ARCHITECTURES
from selfhvd_cli.restore.crew import Crew, Post
from selfhvd_cli.restore.held import Planes
from selfhvd_cli.restore.load import load_restorer
from selfhvd_cli.restore.plan import Plan
from selfhvd_cli.restore.stream import restore_stream
from selfhvd_cli.restore.windows import Frame
from selfhvd_cli.video.reader import open_reader
from selfhvd_cli.weights.store import resolve


def milliseconds(clip: Path, processes: int) -> float:
    """Of a core of this process, for each frame of a clip that its processes restore and judge."""
    row, path, compute = ARCHITECTURES["lite"], resolve("lite"), choose_compute("cpu")
    plan = Plan(window=row.window + CREW_ADVANCE, overlap=row.overlap_of(row.window), scene_cut=False)
    restorer = load_restorer("lite", "lite", path, compute.device).restorer
    elsewhere = Compute(torch.device("meta"), compute.dtype, "a device that is never used")
    with open_reader(clip, None, None) as reader:
        waiting = [Frame(Planes(codes), frame.time) for frame in reader if (codes := frame.codes()) is not None]
    with Crew([Post("lite", "lite", path, compute, plan, torch.get_num_threads())] * processes) as crew:
        begun = time.process_time()
        done = sum(1 for _ in restore_stream(restorer, waiting, plan, elsewhere, crew))
        return 1000 * (time.process_time() - begun) / done


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser("speed.py crew", description=__doc__)
    parser.add_argument("--size", default="1920x1080", help="of the clip (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=44, help="of the clip (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=1, help="that restore (default: %(default)s)")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found = milliseconds(make_clip(Path(folder), chosen.size, chosen.frames), chosen.processes)
    if chosen.json:
        print(json.dumps({"size": chosen.size, "processes": chosen.processes, "ms_of_a_core_a_frame": found}))
        return
    print(f"{chosen.size}: {found:.1f} ms of a core of the first process for each frame")
