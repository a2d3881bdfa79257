"""Benchmark of `selfhvd adapt` on synthetic handheld clips whose truth no training sees.

    python tests/benchmarks/adapt.py PHOTOS [--list NAMES] [--parts a,b,c,d,kills,memory] [--small|--quick]

a: the embedded network adapted against as shipped; b: a network from scratch against the untouched frames; c: the
ablations of the paper; d: the choice of sharp frames against the known ones; kills: kill -9 at random moments and
resume, weights compared; memory: peak memory for clips of 10 and 60 seconds of 1080p. `--clip FILE` adapts to one
real clip instead, with SCSCM and without.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from selfhvd_cli.adapt_network import adapt
from selfhvd_cli.adaptation.clips import contrast
from selfhvd_cli.adaptation.job import SCRATCH, AdaptReport
from selfhvd_cli.device import choose_compute
from selfhvd_cli.ops.displacement import displacement
from selfhvd_cli.ops.sharpness import sharpness
from selfhvd_cli.restore.architectures import ARCHITECTURES
from selfhvd_cli.restore.load import load_restorer, weights_reference
from selfhvd_cli.restore.restorer import Restorer
from selfhvd_cli.synthesis.clips import SHARP_EXTENT, draw_clip
from selfhvd_cli.synthesis.pool import read_photos
from selfhvd_cli.training.inspection import EVEN
from selfhvd_cli.training.sharpness import find_sharp_frames
from selfhvd_cli.weights.store import resolve


@dataclass(frozen=True)
class Size:
    """How large a benchmark is."""

    clips: int
    height: int
    width: int
    frames: int
    steps: int
    scratch_steps: int
    severity: float
    options: dict[str, Any]
    scratch: dict[str, Any]
    """More options for fresh parameters. The rate is for so few steps; the default is for 2000."""

    def for_scratch(self) -> Size:
        """The same for fresh parameters."""
        return dataclasses.replace(self, steps=self.scratch_steps, options=self.options | self.scratch)


FULL = Size(5, 288, 384, 60, 500, 500, 12.0, {}, {"rate": 1e-3, "first_stage": 0.6})
SMALL = Size(3, 192, 256, 32, 30, 70, 9.0, {"targets": 2, "rate": 1e-4}, {"rate": 2e-3})
QUICK = Size(
    2, 128, 160, 32, 60, 200, 8.0, {"crop": 96, "sequence": 5, "batch": 1, "targets": 2}, {"rate": 2e-3}
)


@dataclass(frozen=True)
class Clip:
    """One synthetic clip."""

    name: str
    folder: Path
    blurry: Tensor
    sharp: Tensor
    extents: np.ndarray


def make_clips(photos: Path, names: Sequence[str], size: Size, folder: Path, first: int = 0) -> list[Clip]:
    """Clips as folders of PNG frames, and their truth in memory; those that `adapt` would refuse are passed over."""
    clips: list[Clip] = []
    for number in range(first, first + 8 * size.clips):
        if len(clips) == size.clips:
            break
        name = names[number % len(names)]
        drawn = draw_clip(
            read_photos([photos / name]), (size.height, size.width), size.frames, 9000 + number,
            severity=size.severity, things=0,
        )  # fmt: skip
        frames = [drawn.frame(index) for index in range(size.frames)]
        recorded = torch.stack([torch.from_numpy(frame.blurry).permute(2, 0, 1) for frame in frames]).float() / 255
        if contrast(find_sharp_frames(sharpness(recorded).tolist())) > EVEN:
            continue
        place = folder / f"clip{number}"
        place.mkdir()
        for index, frame in enumerate(frames):
            cv2.imwrite(str(place / f"{index:04d}.png"), frame.blurry[..., ::-1])
        truth = torch.stack([torch.from_numpy(frame.sharp).permute(2, 0, 1) for frame in frames]).float() / 255
        clips.append(Clip(name, place, recorded, truth, np.array([frame.extent for frame in frames])))
    return clips


@torch.no_grad()
def gains(restorer: Restorer | None, clip: Clip, window: int = 9) -> dict[str, float]:
    """PSNR over the input in dB (all frames, blurry and sharp ones), displacement in px, mean sharpness.

    Blurry is a frame with more than `SHARP_EXTENT` of blur. `shift` is against the input, `moved` against the truth.
    """
    compute = choose_compute("auto", "auto")
    count = len(clip.blurry)
    outputs = []
    for start in range(0, count, window):
        first, last = max(0, start - 6), min(count, start + window + 6)
        keep = slice(start - first, min(start + window, count) - first)
        given = clip.blurry[first:last]
        if restorer is not None:
            with compute.autocast():
                given = restorer(given.unsqueeze(0).to(compute.device), keep)[0].float().clamp(0, 1).cpu()
        else:
            given = given[keep]
        outputs.append(given)
    output = torch.cat(outputs)
    gain = psnr(output, clip.sharp) - psnr(clip.blurry, clip.sharp)
    blurry = torch.from_numpy(clip.extents > SHARP_EXTENT)
    return {
        "all": float(gain.mean()),
        "blurry": float(gain[blurry].mean()),
        "sharp": float(gain[~blurry].mean()),
        "shift": float(displacement(output, clip.blurry).mean()),
        "moved": float(displacement(output, clip.sharp).mean()),
        "sharpness": float(sharpness(output).mean()),
    }


def psnr(pictures: Tensor, truth: Tensor) -> Tensor:
    return -10 * torch.log10((pictures - truth).square().mean(dim=(1, 2, 3)).clamp(min=1e-10))


def loaded(model: str, weights: str | None) -> Restorer:
    reference = weights_reference(model, weights)
    device = choose_compute("auto", "auto").device
    return load_restorer(model, reference, resolve(reference), device).restorer


def adapted(clip: Clip, folder: Path, size: Size, init: str | None, **options: Any) -> tuple[Restorer, AdaptReport]:
    model = options.pop("model", "lite")
    target = folder / f"{clip.folder.name}-{len(list(folder.glob('*.safetensors')))}.safetensors"
    given = {"steps": size.steps, **size.options, **options}
    report = adapt(clip.folder, target, model=model, init=init, patience=None, **given)
    return loaded(model, str(target)), report


def line(name: str, values: dict[str, float], note: str = "") -> None:
    cells = " ".join(f"{key} {value:+8.3f}" for key, value in values.items())
    print(f"{name:34s} {cells} {note}", flush=True)


def part_a(clips: list[Clip], folder: Path, size: Size, init: str | None) -> None:
    """The embedded network adapted against as shipped: mean gain > 0 and no clip worse."""
    print(f"\n(a) lite adapted, {size.steps} steps, against lite as shipped; gain over the input in dB")
    differences = []
    for clip in clips:
        before = gains(loaded("lite", init), clip)
        network, report = adapted(clip, folder, size, init)
        after = gains(network, clip)
        differences.append({key: after[key] - before[key] for key in ("all", "blurry", "sharp")})
        line(f"{clip.name} shipped", before)
        held_out = report.after.score - report.before.score
        pace = f"held-out {held_out:+.2f} dB, {report.seconds_a_step:.2f} s a step, {report.seconds / 60:.1f} min"
        line(f"{clip.name} adapted", after, f"best step {report.best_step}, {pace}")
    for key in ("all", "blurry", "sharp"):
        found = [each[key] for each in differences]
        print(f"adapted - shipped, {key}: mean {np.mean(found):+.3f} dB, worst {min(found):+.3f} dB")


def part_b(clips: list[Clip], folder: Path, size: Size, model: str) -> None:
    """A network from scratch, with nothing but the blurry clip: at least +1.0 dB on blurry frames."""
    print(f"\n(b) {model} from scratch, {size.scratch_steps} steps; gain over the input in dB")
    for clip in clips:
        network, report = adapted(clip, folder, size.for_scratch(), SCRATCH, model=model)
        note = f"best step {report.best_step}, {report.seconds / 60:.1f} min"
        line(f"{clip.name} scratch", gains(network, clip), note)


ABLATIONS: dict[str, dict[str, Any]] = {
    "both": {},
    "SEVD only": {"scscm": False},
    "SCSCM only": {"sevd": False},
    "neither": {"sevd": False, "scscm": False},
    "no RSCR": {"rscr": False},
    "no SIS": {"sis": False},
    "no RSCR, no SIS": {"rscr": False, "sis": False},
    "masks none": {"masks": "none"},
    "masks occlusion": {"masks": "occlusion"},
    "masks uncertainty": {"masks": "uncertainty"},
    "segment 5": {"segment": 5},
    "segment 10": {"segment": 10},
    "segment 30": {"segment": 30},
    "refreshes 1": {"refreshes": 1},
    "refreshes 3": {"refreshes": 3},
    "re-blurred 0.3 (ours)": {"reblurred": 0.3},
    "recorded labels (paper)": {"restored_labels": False},
    "one label a frame (paper)": {"neighbours": 1},
    "flow lite": {"flow": "lite"},
}


def part_c(clips: list[Clip], folder: Path, size: Size, init: str | None, only: Sequence[str]) -> None:
    """The paper's ablations, judged by the weights handed out; `--init scratch` begins with fresh parameters."""
    fresh = init == SCRATCH
    size = size.for_scratch() if fresh else size
    print(f"\n(c) ablations with lite, {size.steps} steps, mean over clips; gain over the input in dB")
    chosen = [name for name in ABLATIONS if not only or name in only]
    line("as shipped", _mean([gains(loaded("lite", None if fresh else init), clip) for clip in clips]))
    for name in chosen:
        found = [gains(adapted(clip, folder, size, init, **ABLATIONS[name])[0], clip) for clip in clips]
        line(name, _mean(found), " ".join(f"{each['blurry']:+.2f}" for each in found))


CLEARLY_BLURRED = 2 * SHARP_EXTENT
"""Blur in pixels above which nobody calls a frame sharp; between the two limits people differ."""


def part_d(photos: Path, names: Sequence[str], size: Size, count: int) -> None:
    """The choice of sharp frames against the known blur.

    The paper compares with labels given by hand. Here the blur's length, known from the trajectory, takes their
    place: up to `SHARP_EXTENT` a frame is sharp, above `CLEARLY_BLURRED` it is blurred, and what lies between is
    judged only in the last column, which calls everything above `SHARP_EXTENT` blurred.
    """
    print(f"\n(d) sharp frames, {count} clips (paper, by hand: 71.03, 88.51, 96.77, 98.28 % for 5, 10, 20, 30)")
    found: dict[int, list[tuple[bool, float]]] = {segment: [] for segment in (5, 10, 20, 30)}
    for number in range(count):
        drawn = draw_clip(
            read_photos([photos / names[number % len(names)]]), (size.height, size.width), size.frames, 500 + number,
            severity=size.severity, things=0,
        )  # fmt: skip
        frames = torch.stack([torch.from_numpy(drawn.frame(i).blurry).permute(2, 0, 1) for i in range(size.frames)])
        scores = sharpness(frames.float() / 255).tolist()
        for segment, pairs in found.items():
            chosen = set(find_sharp_frames(scores, segment).indices)
            pairs += [(index in chosen, extent) for index, extent in enumerate(drawn.extents())]
    for segment, pairs in found.items():
        clear = [(chosen, extent) for chosen, extent in pairs if not SHARP_EXTENT < extent <= CLEARLY_BLURRED]
        figures = {
            "frames judged rightly": [chosen == (extent <= SHARP_EXTENT) for chosen, extent in clear],
            "chosen that are sharp": [extent <= SHARP_EXTENT for chosen, extent in clear if chosen],
            "sharp that are chosen": [chosen for chosen, extent in clear if extent <= SHARP_EXTENT],
            "with doubtful ones as blurred": [chosen == (extent <= SHARP_EXTENT) for chosen, extent in pairs],
        }
        cells = ", ".join(f"{name} {100 * np.mean(each):.2f} %" for name, each in figures.items())
        print(f"segment {segment:2d}: {cells} ({len(clear)} of {len(pairs)} frames are clear)", flush=True)


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


def part_clip(clip: Path, folder: Path, size: Size, init: str | None) -> None:
    """One real clip, with SCSCM and without: held-out score, displacement and sharpness of its blurry places."""
    print(f"\n{clip}: {size.steps} steps")
    for name, options in (("SCSCM", {}), ("no SCSCM", {"scscm": False})):
        report = adapt(
            clip, folder / f"{name.replace(' ', '-')}.safetensors", init=init, steps=size.steps, patience=None,
            **size.options, **options,
        )  # fmt: skip
        lines = [json.loads(each) for each in report.log.read_text().splitlines()]
        last = [each["held_out"] for each in lines if "held_out" in each][-1]
        line("as shipped", dataclasses.asdict(report.before))
        line(f"{name}, handed out", dataclasses.asdict(report.after), f"best step {report.best_step}")
        line(f"{name}, last", last, json.dumps({"pictures": str(report.pictures)}))


def _mean(found: Sequence[dict[str, float]]) -> dict[str, float]:
    return {key: float(np.mean([each[key] for each in found])) for key in found[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, help="folder of sharp photographs that no network was trained on")
    parser.add_argument("--list", type=Path, help="file naming the photographs to use")
    parser.add_argument("--parts", default="a,b,c,d,kills,memory")
    parser.add_argument("--quick", action="store_true", help="small clips and few steps: minutes instead of hours")
    parser.add_argument("--small", action="store_true", help="small clips and steps for one core and some minutes")
    parser.add_argument("--clips", type=int, help="number of clips")
    parser.add_argument("--first", type=int, default=0, help="number of the first clip")
    parser.add_argument("--steps", type=int, help="steps, instead of the size's own")
    parser.add_argument("--init", help="weights of lite to begin with; for part c also scratch")
    parser.add_argument("--model", default="lite", choices=list(ARCHITECTURES), help="network of part b")
    parser.add_argument("--only", default="", help="ablations of part c, by name, comma separated")
    parser.add_argument("--options", type=json.loads, default={}, help='of AdaptConfig, as {"crop": 128}')
    parser.add_argument("--clip", type=Path, help="adapt to this real clip instead")
    parser.add_argument("--output", type=Path, help="keep weights, logs and pictures here")
    asked = parser.parse_args()
    size = QUICK if asked.quick else SMALL if asked.small else FULL
    size = dataclasses.replace(
        size, clips=asked.clips or size.clips, steps=asked.steps or size.steps,
        scratch_steps=asked.steps or size.scratch_steps, options=size.options | asked.options,
        scratch=size.scratch | asked.options,
    )  # fmt: skip
    names = asked.list.read_text().split() if asked.list else sorted(path.name for path in asked.photos.iterdir())
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.output or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if asked.clip is not None:
            part_clip(asked.clip, folder, size, asked.init)
            return
        parts = asked.parts.split(",")
        clips = []
        if set(parts) & {"a", "b", "c", "kills"}:
            clips = make_clips(asked.photos, names, size, Path(temporary), asked.first)
        runs = {
            "a": lambda: part_a(clips, folder, size, asked.init),
            "b": lambda: part_b(clips, folder, size, asked.model),
            "c": lambda: part_c(clips, folder, size, asked.init, [x for x in asked.only.split(",") if x]),
            "d": lambda: part_d(asked.photos, names, size, 4 if asked.quick else 20),
            "kills": lambda: part_kills(clips[0], folder, size, asked.init),
            "memory": lambda: part_memory(folder, asked.init, (2, 6) if asked.quick else (10, 60)),
        }
        for part in parts:
            runs[part]()


if __name__ == "__main__":
    main()
