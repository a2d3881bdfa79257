"""Hard conditions for `adapt`: runs that are killed, clips of a minute; parts kills and memory of its benchmark."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import torch
from adapt_clips import Clip, Size
from safetensors.torch import load_file

KILLED = """
import json, sys
from pathlib import Path
from selfhvd_cli.adapt_network import adapt_steps
from selfhvd_cli.adaptation.job import AdaptJob
clip, target, init, options = sys.argv[1:]
job = AdaptJob((Path(clip),), Path(target), init=init or None, options=json.loads(options), patience=None,
               device="cpu", check_every=7, checkpoint_every=3)
for report in adapt_steps(job):
    if report.step is not None:
        print(report.step.step, flush=True)
"""


def part_kills(clip: Clip, folder: Path, size: Size, init: str | None, count: int = 5) -> None:
    """Kill -9 at random moments, resume each time: the weights of an uninterrupted run."""
    steps = min(size.steps, 24)
    print(f"\n(kills) kill -9 at {count} random moments of {steps} steps", flush=True)
    targets = [folder / "whole.safetensors", folder / "killed.safetensors"]
    options = json.dumps({"steps": steps, **size.options})
    rng = random.Random(0)

    def run(target: Path, until: int | None) -> list[int]:
        """Steps that a process did, which is killed soon after step `until`, if one is named."""
        command = [sys.executable, "-c", KILLED, str(clip.folder), str(target), init or "", options]
        done = []
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout is not None
            for each in process.stdout:
                done.append(int(each))
                if until is not None and done[-1] >= until:
                    time.sleep(rng.uniform(0, 0.5))
                    os.kill(process.pid, signal.SIGKILL)
                    break
        return done

    run(targets[0], None)
    for moment in sorted(rng.sample(range(1, steps), count)):
        done = run(targets[1], moment)
        print(f"went on with step {done[0]}, killed after step {done[-1]}", flush=True)
    print(f"went on with step {run(targets[1], None)[0]}")
    one, two = (load_file(target) for target in targets)
    same = all(torch.equal(one[key], two[key]) for key in one)
    print(f"weights identical to those of an uninterrupted run: {same}")


MEMORY = """
import sys
from pathlib import Path
from selfhvd_cli import adapt
report = adapt(sys.argv[1], sys.argv[2], init=sys.argv[3] or None, steps=3, patience=None, device="cpu")
print(report.peak_memory, report.clips[0].frames)
"""


def part_memory(folder: Path, init: str | None, seconds: Sequence[int]) -> None:
    """Peak memory of this process for 1080p clips of different lengths."""
    print("\n(memory) peak host memory, 1080p")
    for length in seconds:
        clip = folder / f"long{length}.mp4"
        write_long(clip, 30 * length)
        command = [sys.executable, "-c", MEMORY, str(clip), str(folder / f"long{length}.safetensors"), init or ""]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peak, frames = done.stdout.split()
        print(f"{length} s, {frames} frames: {int(peak) / 1e9:.2f} GB", flush=True)


def write_long(path: Path, frames: int) -> None:
    """A 1080p clip of a moving texture, most of its frames blurred."""
    import av

    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (160, 280, 3), dtype=np.uint8)
    scene = cv2.resize(coarse, (2240, 1280), interpolation=cv2.INTER_CUBIC)
    with av.open(str(path), "w") as file:
        video = file.add_stream("libx264", rate=30, options={"preset": "ultrafast", "crf": "30"})
        video.width, video.height, video.pix_fmt = 1920, 1080, "yuv420p"
        for index in range(frames):
            x, y = (int(80 + 70 * np.sin(index / pace)) for pace in (5, 7))
            view = scene[y : y + 1080, x : x + 1920]
            view = view if index % 3 == 0 else cv2.blur(view, (15, 1))
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(view), "rgb24")
            picture.pts, picture.time_base = index, Fraction(1, 30)
            file.mux(video.encode(picture))
        file.mux(video.encode())
