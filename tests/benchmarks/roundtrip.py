"""Copy every phone file through the reader and the writer, and print what was kept as a Markdown table.

    python tests/benchmarks/roundtrip.py FOLDER [PART OF A NAME ...]

Frames are decoded and encoded but not restored. Of three large files only the beginning is taken.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "video"))

from phone_files import STRETCHES, copy_and_compare

from selfhvd_cli.errors import SelfHVDError

COLUMNS = ("frames", "times", "tracks", "tags", "matrix", "aspect", "colour", "depth", "chapters", "length", "mtime")


def main() -> None:
    folder, parts = Path(sys.argv[1]), sys.argv[2:]
    print("| file | codec, pixels | " + " | ".join(COLUMNS) + " | not as it was |")
    print("|---|---|" + "---|" * (len(COLUMNS) + 1))
    with tempfile.TemporaryDirectory() as scratch:
        for path in sorted(folder.iterdir(), key=lambda path: path.name.lower()):
            if path.is_file() and (not parts or any(part in path.name for part in parts)):
                print(row(path, Path(scratch)), flush=True)


def row(path: Path, scratch: Path) -> str:
    try:
        outcome = copy_and_compare(path, scratch)
    except SelfHVDError as fault:
        return f"| {path.name} | refused: {fault.message.replace(str(path), 'it')} |" + " |" * (len(COLUMNS) + 1)
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
    (scratch / path.name).unlink()
    info = outcome.info
    found = " | ".join(cells[name] for name in COLUMNS)
    return f"| {path.name} | {info.codec} {info.pixel_format} | {found} | {rest} |"


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    main()
