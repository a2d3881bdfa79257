"""Brings a file the user has (from a Drive, a colleague, another machine) in under a name, as the user's own."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from selfhvd_cli.errors import WeightsFault
from selfhvd_cli.weights.convert import Conversion, convert
from selfhvd_cli.weights.locate import imported_folder
from selfhvd_cli.weights.pull import provenance
from selfhvd_cli.weights.record import Record, Trust, now, write_record
from selfhvd_cli.weights.signatures import SIGNATURES
from selfhvd_cli.weights.spec import NAME, WeightSpec, manifest
from selfhvd_cli.weights.verify import matches, sha256_of


def bring_in(
    file: Path, name: str = "", architecture: str = "", overwrite: bool = False
) -> tuple[Path, Record, Conversion]:
    """Convert `file` into the user's folder of imported weights; the file itself is left as it is.

    Args:
        file: a checkpoint of `torch.save`, or safetensors.
        name: what to call it; without one, the manifest entry whose filename it has, else the file's own stem.
        architecture: what it must hold; without one, the entry's, else what its keys look like.
        overwrite: replace imported weights of that name.

    Raises:
        WeightsFault: refused, unreadable, of another network, not the file the manifest means, or the name is taken.
        DiskFault: the folder cannot be written.
    """
    if not file.is_file():
        raise WeightsFault(f"{file}: no such file.")
    if architecture and architecture not in SIGNATURES:
        raise WeightsFault(f"--architecture {architecture}: choose one of {', '.join(SIGNATURES)}.")
    digest = sha256_of(file)
    spec = _entry_for(file, name, digest)
    chosen = spec.name if spec else name or re.sub(r"[^A-Za-z0-9._-]+", "-", file.stem).strip("-._")
    if not NAME.fullmatch(chosen):
        raise WeightsFault(f"{chosen!r} is no usable name: letters, digits, dots, dashes; give one with --name NAME.")
    # A file's own stem may be an entry's name, too, and the entry would be hidden by it or hide it.
    spec = spec or manifest().get(chosen)
    trust = _check_entry(spec, file, digest)
    target = imported_folder() / f"{chosen}.safetensors"
    if target.exists() and not overwrite:
        raise WeightsFault(f"{target}: exists; replace it with --overwrite, or choose another --name.")
    wanted = architecture or (spec.architecture if spec else "")
    record = Record(chosen, file.name, digest, file.stat().st_size, "", trust, stored_at=now())
    done = convert(file, target, provenance(record, spec), wanted)
    record = replace(record, stored_sha256=sha256_of(target), architecture=done.architecture)
    write_record(target, record)
    return target, record, done


def _entry_for(file: Path, name: str, digest: str) -> WeightSpec | None:
    """The manifest entry that is meant: by name, by content, or by file name."""
    if name:
        return manifest().get(name)
    entries = [spec for spec in manifest().values() if spec.source != "embedded"]
    by_content = (spec for spec in entries if spec.sha256 == digest)
    # Several entries are called model.safetensors: such a name says nothing.
    namesakes = [spec for spec in entries if spec.filename.rpartition("/")[2] == file.name]
    return next(by_content, namesakes[0] if len(namesakes) == 1 else None)


def _check_entry(spec: WeightSpec | None, file: Path, digest: str) -> Trust:
    if spec is None:
        return "import"
    if spec.source == "embedded":
        raise WeightsFault(f"{spec.name}: is the embedded network's name; choose another --name.")
    if spec.expected_hash and not matches(digest, spec.expected_hash):
        raise WeightsFault(
            f"{file}: not the published {spec.name}: sha256 should be {spec.expected_hash}, got {digest}; "
            f"download it again, or import it under a --name of your own."
        )
    return "manifest" if spec.sha256 else "hash in the name" if spec.hash_prefix else "import"
