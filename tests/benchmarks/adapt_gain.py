"""What `adapt` gains: parts a and b of its benchmark, and a real clip."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
from adapt_clips import Clip, Size, adapted, gains, line, loaded

from selfhvd_cli.adapt_network import adapt
from selfhvd_cli.adaptation.job import SCRATCH


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
