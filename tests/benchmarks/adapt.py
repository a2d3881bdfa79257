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
import tempfile
from pathlib import Path

from adapt_ablations import ABLATIONS, part_c
from adapt_choice import part_d
from adapt_clips import FULL, QUICK, SMALL, make_clips
from adapt_endurance import part_kills, part_memory
from adapt_gain import part_a, part_b, part_clip

from selfhvd_cli.restore.architectures import ARCHITECTURES

PARTS = ("a", "b", "c", "d", "kills", "memory")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, help="folder of sharp photographs that no network was trained on")
    parser.add_argument("--list", type=Path, help="file naming the photographs to use")
    parser.add_argument("--parts", default=",".join(PARTS))
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
    parts, only = ([name for name in names.split(",") if name] for names in (asked.parts, asked.only))
    for kind, chosen, known in (("--parts", parts, PARTS), ("--only", only, tuple(ABLATIONS))):
        if unknown := [name for name in chosen if name not in known]:
            parser.error(f"{kind}: no {', '.join(unknown)}; there are {', '.join(known)}")
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
        clips = []
        if set(parts) & {"a", "b", "c", "kills"}:
            clips = make_clips(asked.photos, names, size, Path(temporary), asked.first)
        runs = {
            "a": lambda: part_a(clips, folder, size, asked.init),
            "b": lambda: part_b(clips, folder, size, asked.model),
            "c": lambda: part_c(clips, folder, size, asked.init, only),
            "d": lambda: part_d(asked.photos, names, size, 4 if asked.quick else 20),
            "kills": lambda: part_kills(clips[0], folder, size, asked.init),
            "memory": lambda: part_memory(folder, asked.init, (2, 6) if asked.quick else (10, 60)),
        }
        for part in parts:
            runs[part]()


if __name__ == "__main__":
    main()
