"""Put thousands of damaged files through `selfhvd deblur --strength 0`, each in a process of its own.

    python tests/fuzz/fuzz_deblur.py [--count 2000] [--seed 0] [--of FOLDER] [--keep FOLDER]
    python tests/fuzz/fuzz_deblur.py --files FOLDER

`--of` damages the files of a folder, up to 1.5 MB each, in place of generated ones, and takes four frames of each.
The second form takes the files of a folder as they are, half a second of each. Ends with 1 if any of them crashed,
hung, took too much memory, ended with an exit code that is not in the contract, showed a traceback or left a file
behind. `--keep` saves those files; `--seed N --count 1` repeats the trial number N.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from mutations import mutate
from seeds import make_seeds
from trial import Outcome, run_trial, warm_up

LARGEST = 1_500_000
"""Bytes of a file that `--of` takes."""

Trial = tuple[int, str, Path, Outcome]
"""Its number, what was damaged and how, the damaged file, the end."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--of", type=Path)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--files", type=Path)
    options = parser.parse_args()
    warm_up()
    ends: Counter[str] = Counter()
    worst = 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if options.files:
            trials = found(folder, options.files)
        elif options.of:
            small = [path for path in sorted(options.of.iterdir()) if path.stat().st_size <= LARGEST]
            good = {path.name: path.read_bytes() for path in small}
            trials = made(folder, good, options.seed, options.count, "--duration", "4f")
        else:
            trials = made(folder, make_seeds(folder), options.seed, options.count)
        for number, words, damaged, outcome in trials:
            complaint = outcome.complaint
            ends[complaint or ("saved" if outcome.code == 0 else "refused with a message")] += 1
            worst = max(worst, outcome.memory)
            if complaint:
                print(f"{number}: {words}: {complaint}\n    {outcome.said.strip()[-400:]}", flush=True)
                if options.keep is not None:
                    options.keep.mkdir(exist_ok=True)
                    shutil.copy(damaged, options.keep / f"{number}_{damaged.name}")
            if ends.total() % 200 == 0:
                print(f"{ends.total()} done: {dict(ends)}", flush=True)
    bad = ends.total() - ends["saved"] - ends["refused with a message"]
    print(f"{ends.total()} damaged files: {dict(ends)}; at most {worst >> 20} MiB above the program's own memory")
    raise SystemExit(1 if bad else 0)


def made(folder: Path, seeds: Mapping[str, bytes], first: int, count: int, *words: str) -> Iterator[Trial]:
    """Damage the seeds by turns, each time in another way."""
    contents = list(seeds.items())
    (folder / "run").mkdir()
    for number in range(first, first + count):
        name, good = contents[number % len(contents)]
        data, how = mutate(good, number)
        damaged = folder / "run" / name
        damaged.write_bytes(data)
        yield number, f"{name}, {how}", damaged, run_trial(damaged, *words, *["--salvage"][number % 2 :])
        damaged.unlink()


def found(folder: Path, source: Path) -> Iterator[Trial]:
    """Take files as they are."""
    for number, path in enumerate(sorted(source.iterdir())):
        damaged = Path(shutil.copy(path, folder))
        yield number, path.name, damaged, run_trial(damaged, "--duration", "0.5s")
        damaged.unlink()


if __name__ == "__main__":
    main()
