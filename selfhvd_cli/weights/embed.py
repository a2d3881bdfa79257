"""Hash and size of an embedded file into its manifest row: python -m selfhvd_cli.weights.embed FILE."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from selfhvd_cli.errors import WeightsFault
from selfhvd_cli.weights.load import read_shapes
from selfhvd_cli.weights.spec import read_manifest
from selfhvd_cli.weights.verify import sha256_of


def embed(file: Path, manifest_path: Path | None = None) -> str:
    """Update the row whose filename is `file`'s in the manifest beside it; gives the sha256.

    Raises:
        WeightsFault: the file is no safetensors file, or no embedded row has that filename.
    """
    target = manifest_path or file.parent / "manifest.toml"
    rows = [spec for spec in read_manifest(target).values() if spec.source == "embedded"]
    if file.name not in [spec.filename for spec in rows]:
        raise WeightsFault(f"{target}: no embedded row has the filename {file.name!r}; add one first.")
    read_shapes(file)
    digest = sha256_of(file)
    head, mark, tail = target.read_text(encoding="utf-8").partition(f'filename = "{file.name}"\n')
    row, border, rest = tail.partition("[[weights]]")
    row = re.sub(r'^sha256 = ".*"$', f'sha256 = "{digest}"', row, count=1, flags=re.MULTILINE)
    row = re.sub(r"^size = \d+\n", "", row, flags=re.MULTILINE)
    row = row.replace(f'sha256 = "{digest}"', f'sha256 = "{digest}"\nsize = {file.stat().st_size}', 1)
    part = target.with_name(target.name + ".part")
    part.write_text(head + mark + row + border + rest, encoding="utf-8")
    if next(spec for spec in read_manifest(part).values() if spec.filename == file.name).sha256 != digest:
        part.unlink()
        raise WeightsFault(f'{target}: the row of {file.name} has no line sha256 = "" to fill in.')
    part.replace(target)
    return digest


if __name__ == "__main__":
    sys.stdout.write(embed(Path(sys.argv[1])) + "\n")
