"""What one more frame asks of an accelerator: commands it is given, and times the computer waits for its answer.

A command costs the computer some microseconds, whatever its size, so on a fast GPU their number bounds the frames a
second. They are counted on an imaginary device, which computes on the CPU: no GPU is needed, and nothing is timed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from whole_command import make_clip

sys.path.insert(0, str(Path(__file__).parent.parent))

from imaginary_device import NUMBER, Distant, imaginary_device, is_distant

from selfhvd_cli.device import Compute
from selfhvd_cli.restore.engine import Engine
from selfhvd_cli.restore.held import Planes
from selfhvd_cli.restore.load import load_restorer
from selfhvd_cli.restore.outcome import judge
from selfhvd_cli.restore.plan import TOGETHER, Plan
from selfhvd_cli.video.reader import open_reader
from selfhvd_cli.weights.store import resolve

BEFORE, BEHIND = 5, 4
"""Frames that come first, and last: a frame amid a clip finds most of what it needs of its neighbours computed."""


class Operators(TorchDispatchMode):
    """Counts what reaches the device: commands, and numbers or pictures fetched from it. Views cost it nothing."""

    def __init__(self, counts: Counter[str]) -> None:
        super().__init__()
        self.counts = counts

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        concerned = any(isinstance(each, Distant) for each in tree_leaves((args, kwargs)))
        result = function(*args, **kwargs)
        stays = any(isinstance(each, Distant) for each in tree_leaves(result)) or is_distant(kwargs.get("device"))
        if function is NUMBER or (concerned and not stays):
            self.counts["waits"] += concerned
        elif stays and not _is_view(function):
            self.counts["commands"] += 1
        return result


class Lists(TorchFunctionMode):
    """Counts the lists of numbers fetched from the device, which pass the operators by."""

    def __init__(self, counts: Counter[str]) -> None:
        super().__init__()
        self.counts = counts

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is Tensor.tolist:
            self.counts["waits"] += isinstance(args[0], Distant)
        return function(*args, **(kwargs or {}))


def _is_view(function: Any) -> bool:
    """Whether an operator only looks at its argument in another way: it says so of what it returns."""
    returned = [each.alias_info for each in function._schema.returns]
    return bool(returned) and all(info is not None and not info.is_write for info in returned)


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """What reaches the device meanwhile."""
    counts: Counter[str] = Counter()
    with Operators(counts), Lists(counts):
        yield counts


def commands(clip: Path, frames: int, together: int) -> dict[str, list[Counter[str]]]:
    """Of each of `frames` times `together` frames: what the network and the rest ask."""
    with open_reader(clip, None, None) as reader:
        held = [Planes(codes) for frame in reader if (codes := frame.codes()) is not None]
    restorer = load_restorer("lite", "lite", resolve("lite"), torch.device("cpu")).restorer
    plan = Plan(window=len(held), overlap=2, together=together)
    found: dict[str, list[Counter[str]]] = {"network": [], "rest": []}
    with imaginary_device() as device:
        engine = Engine(restorer.to(device), plan, Compute(device, torch.float32, "imagined"))
        engine.restore_each([(held[: BEFORE + BEHIND], BEFORE - 1)])
        for first in range(BEFORE, BEFORE + frames * together, together):
            targets = range(first, first + together)
            jobs = [(held[: target + BEHIND + 1], target) for target in targets]
            with counted() as network:
                pictures = engine.restore_each(jobs)
            pairs = [(held[target], picture) for target, picture in zip(targets, pictures, strict=True)]
            with counted() as rest:
                for _ in judge(engine, pairs):
                    pass
            found["network"].append(network)
            found["rest"].append(rest)
    return found


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser("speed.py commands", description=__doc__)
    parser.add_argument("--size", default="1920x1080", help="of the clip (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=3, help="to count, times those together (default: %(default)s)")
    parser.add_argument("--together", type=int, default=TOGETHER, help="frames at a time (default: %(default)s)")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        length = BEFORE + BEHIND + chosen.frames * chosen.together
        found = commands(make_clip(Path(folder), chosen.size, length), chosen.frames, chosen.together)
    if chosen.json:
        print(json.dumps(found, indent=2))
        return
    print(f"{chosen.size}, {chosen.together} at a time; of each time: commands to the device, waits for it")
    for part, times in found.items():
        print(f"{part:<8}", *(f"{each['commands']:>6} {each['waits']:>3}" for each in times))
    whole = sum(each["commands"] for times in found.values() for each in times)
    print(f"commands for a frame: {whole / (chosen.frames * chosen.together):.0f}")
