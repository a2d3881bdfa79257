"""Copy every phone file through the reader and the writer, and print what was kept as Markdown tables.

    python tests/benchmarks/roundtrip.py FOLDER [PART OF A NAME ...]

The first table has a line for each file, the second one for each property: in how many files it was the same after.

Frames are decoded and encoded but not restored. Of three large files only the beginning is taken.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "video"))

from phone_files import STRETCHES, Outcome, copy_and_compare

from selfhvd_cli.errors import SelfHVDError

COLUMNS = ("frames", "times", "tracks", "tags", "matrix", "aspect", "colour", "depth", "chapters", "length", "mtime")


def main() -> None:
    folder, parts = Path(sys.argv[1]), sys.argv[2:]
    print("| file | codec, pixels | " + " | ".join(COLUMNS) + " | not as it was |")
    print("|---|---|" + "---|" * (len(COLUMNS) + 1))
    outcomes: dict[str, Outcome] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for path in sorted(folder.iterdir(), key=lambda path: path.name.lower()):
            if path.is_file() and (not parts or any(part in path.name for part in parts)):
                try:
                    outcomes[path.name] = copy_and_compare(path, Path(scratch))
                except SelfHVDError as fault:
                    words = fault.message.replace(str(path), "it")
                    print(f"| {path.name} | refused: {words} |" + " |" * (len(COLUMNS) + 1), flush=True)
                else:
                    print(row(path, outcomes[path.name]), flush=True)
                    (Path(scratch) / path.name).unlink()
    print()
    summarise(outcomes)


def summarise(outcomes: dict[str, Outcome]) -> None:
    print("| the same after as before | in files | not in |")
    print("|---|---|---|")
    for name in next(iter(outcomes.values())).same if outcomes else ():
        lost = [file for file, outcome in outcomes.items() if name in outcome.lost]
        print(f"| {name} | {len(outcomes) - len(lost)} of {len(outcomes)} | {', '.join(lost)} |")


def row(path: Path, outcome: Outcome) -> str:
    same = outcome.same
    words = {True: "✓", False: "✗"}
    cells = {name: words[kept] for name, kept in same.items()}
    cells["length"] = cells["duration"]
    cells["frames"] = f"{outcome.frames} {cells['frames']}"
    cells["tracks"] = f"{outcome.tracks} {words[same['packets']]}"
    cells["tags"] = words[same["tags"] and same["stream tags"] and same["main tags"]]
    receipt = outcome.receipt
    lines = [*receipt.changed, *receipt.left_out]
    rest = "; ".join(str(line) for line in lines)
    if path.name in STRETCHES:
        rest = f"first {float(STRETCHES[path.name]):.2g} s only" + (f"; {rest}" if rest else "")
    info = outcome.info
    found = " | ".join(cells[name] for name in COLUMNS)
    return f"| {path.name} | {info.codec} {info.pixel_format} | {found} | {rest} |"


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    main()
