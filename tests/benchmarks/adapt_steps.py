"""Steps a second of `adapt`, ours beside a plain arrangement of the same training, and where the time of a step goes.

Plain is fp32, contiguous weights, the allocator as the system has it, one frame after the other; what is computed is
the same. The two take turns, each in a process of its own. The fastest half of the steps of a stage counts: in the
others sharp frames are restored and displacements found, once each, which in a long run is little.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from whole_command import EXAMPLE


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser("speed.py adapt", description=__doc__)
    parser.add_argument("--clip", type=Path, default=EXAMPLE, help="(default: %(default)s)")
    parser.add_argument("--model", default="lite", help="(default: %(default)s)")
    parser.add_argument("--init", default=None, help="weights to begin with; scratch works for every network")
    parser.add_argument("--crop", type=int, default=192, help="pixels a side (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=40, help="of each stage (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=2, help="processes of each kind (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="(default: %(default)s)")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--process", choices=("plain", "ours"), help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.process:
        print(json.dumps(measure(chosen)))
        return
    found: dict[str, list[dict[str, Any]]] = {"plain": [], "ours": []}
    for _ in range(chosen.turns):
        for kind, runs in found.items():
            command = [sys.executable, __file__, *arguments, "--process", kind]
            runs.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
    if chosen.json:
        print(json.dumps(found, indent=2))
        return
    show(found)


def show(found: dict[str, list[dict[str, Any]]]) -> None:
    for stage in ("1", "2"):
        best = {kind: min((run[stage] for run in runs), key=seconds) for kind, runs in found.items()}
        plain, ours = best["plain"], best["ours"]
        print(f"stage {stage}: plain {1 / plain['seconds']:.2f} steps/s, ours {1 / ours['seconds']:.2f}", end="")
        print(f", {plain['seconds'] / ours['seconds']:.2f} times as many", end="")
        print(f" (of all steps {1 / plain['of_all']:.2f} and {1 / ours['of_all']:.2f})")
        for kind, each in best.items():
            parts = sorted(each["parts"].items(), key=lambda part: -part[1])
            print(f"  {kind}: " + ", ".join(f"{name} {value / each['seconds']:.0%}" for name, value in parts))


def seconds(stage: dict[str, Any]) -> float:
    return float(stage["seconds"])


def measure(chosen: argparse.Namespace) -> dict[str, Any]:
    """What a step of one process takes, by stage."""
    if chosen.process == "ours":
        from selfhvd_cli.heap import keep_large_blocks

        keep_large_blocks()
    from selfhvd_cli.adapt_network import adapt_steps
    from selfhvd_cli.adaptation.job import AdaptJob
    from selfhvd_cli.nets.lite import Lite
    from selfhvd_cli.training import trainer

    if chosen.process == "plain":
        trainer.arrange = lambda *_: None
        Lite.forward = frame_by_frame  # type: ignore[method-assign]
    clock = Clock()
    steps = 2 * chosen.steps
    with tempfile.TemporaryDirectory() as folder, clock.installed():
        job = AdaptJob(
            clips=(chosen.clip,),
            weights=Path(folder) / "w.safetensors",
            model=chosen.model,
            init=chosen.init,
            perceptual="none",
            flow="dis",
            device=chosen.device,
            precision="fp32" if chosen.process == "plain" else "auto",
            patience=None,
            offline=True,
            options={"steps": steps, "first_stage": 0.5, "crop": chosen.crop, "sequence": 9, "batch": 2},
        )
        steps_of: dict[str, list[dict[str, float]]] = {"1": [], "2": []}
        for progress in adapt_steps(job):
            if progress.step is None:
                continue
            parts = clock.take()
            parts["the rest"] = max(0.0, progress.step.seconds - sum(parts.values()))
            steps_of[str(progress.step.stage)].append(parts)
    return {stage: told(steps) for stage, steps in steps_of.items()}


def told(steps: list[dict[str, float]]) -> dict[str, Any]:
    """Seconds a step and in its parts, of the fastest half: what is found once and kept is in the others."""
    steps = sorted(steps, key=lambda parts: sum(parts.values()))
    counted = steps[: (len(steps) + 1) // 2]
    names = {name for parts in counted for name in parts}
    return {
        "seconds": statistics.mean(sum(parts.values()) for parts in counted),
        "of_all": statistics.mean(sum(parts.values()) for parts in steps),
        "parts": {name: statistics.mean(parts.get(name, 0.0) for parts in counted) for name in names},
    }


def frame_by_frame(network: Any, clips: Any, keep: slice | None = None) -> Any:
    """`Lite.forward` that restores one frame at a time, whatever their size."""
    import torch

    wanted = range(clips.shape[1])[keep or slice(None)]
    outputs = []
    for clip in clips:
        shots = [network.shot(lambda frame=frame: frame) for frame in clip.split(1)]  # type: ignore[misc]
        outputs += [network.restore_shots([(shots, target)]) for target in wanted]
    return torch.cat(outputs).unflatten(0, (len(clips), len(wanted)))


class Clock:
    """Wall time inside the parts of a step; a part within a part belongs to the outer one."""

    def __init__(self) -> None:
        self._found: dict[str, float] = defaultdict(float)
        self._inside = False

    def take(self) -> dict[str, float]:
        found, self._found = dict(self._found), defaultdict(float)
        return found

    @contextmanager
    def installed(self) -> Iterator[None]:
        import torch

        from selfhvd_cli.restore.restorer import Restorer
        from selfhvd_cli.training import objective
        from selfhvd_cli.training.averaging import Average
        from selfhvd_cli.training.batches import Batches

        places: list[tuple[Any, str, str]] = [
            (Batches, "draw", "crops and labels"),
            (Restorer, "forward", "network"),
            (torch.Tensor, "backward", "way back"),
            (torch.optim.Adam, "step", "optimizer and average"),
            (Average, "update", "optimizer and average"),
            (objective, "align_labels", "aligning labels"),
            (objective.History, "output", "the earlier network"),
        ]
        before = [getattr(owner, name) for owner, name, _ in places]
        for (owner, name, part), function in zip(places, before, strict=True):
            setattr(owner, name, self._timed(part, function))
        try:
            yield
        finally:
            for (owner, name, _), function in zip(places, before, strict=True):
                setattr(owner, name, function)

    def _timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            if self._inside:
                return function(*arguments, **named)
            self._inside, began = True, time.monotonic()
            try:
                return function(*arguments, **named)
            finally:
                self._inside = False
                self._found[part] += time.monotonic() - began

        return timed


if __name__ == "__main__":
    main(sys.argv[1:])
