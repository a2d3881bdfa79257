"""What there is: every known entry and every file of the user's and the store's folders, with its state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from selfhvd_cli.errors import WeightsFault
from selfhvd_cli.weights.load import read_metadata, read_shapes
from selfhvd_cli.weights.locate import adapted_files, imported_folder, store_folder
from selfhvd_cli.weights.record import check_record, read_record, stored_file
from selfhvd_cli.weights.spec import WeightSpec, embedded_folder, manifest
from selfhvd_cli.weights.verify import check_hash

State = Literal["embedded", "here", "absent", "by hand", "missing", "ok", "damaged"]


@dataclass(frozen=True)
class Item:
    """One line of `selfhvd weights list` or `verify`."""

    name: str
    """What to type."""

    kind: str
    """deblur, flow, perceptual, metric; `own` for the user's, `converted` for copies of the user's checkpoints."""

    architecture: str
    """The network it belongs to."""

    state: State
    """`list`: embedded, here, absent, by hand or missing (should be embedded); `verify`: ok, damaged, missing."""

    path: Path | None
    """The file, if here."""

    size: int
    """Bytes: of the file here, else of the published one; 0 where unknown."""

    license: str
    """As its authors state it; empty for the user's own."""

    source: str
    """Where it comes from."""

    sha256: str
    """Of the published file: from the manifest, its first digits, or as recorded; empty where nobody knows."""

    trust: str
    """What vouches for that hash."""

    message: str = ""
    """What is wrong, with `verify`."""


def list_items() -> Iterator[Item]:
    """The manifest's entries in its order, then the user's files, then the store's other files; nothing is hashed."""
    for spec in manifest().values():
        yield _of_spec(spec)
    for path in (*sorted(imported_folder().glob("*.safetensors")), *adapted_files()):
        if path.stem not in manifest():
            yield _of_file(path, "own")
    for path in sorted(store_folder().glob("*.safetensors")):
        if path.stem not in manifest() and read_record(path) is not None:
            yield _of_file(path, "converted")


def verify_item(item: Item) -> Item:
    """The item with state `ok`, `damaged` or `missing` after hashing its file and reading its header."""
    state: State = "ok"
    message = ""
    try:
        if item.path is None:
            raise FileNotFoundError
        if item.kind != "own" or read_record(item.path) is not None:
            _check(item, item.path)
        read_shapes(item.path)
    except FileNotFoundError:
        state, message = "missing", f"{item.name}: not here; selfhvd weights pull {item.name}"
    except WeightsFault as fault:
        state, message = "damaged", fault.format_message()
    return Item(**{**item.__dict__, "state": state, "message": message})


def _check(item: Item, path: Path) -> None:
    spec = manifest().get(item.name)
    if spec is not None and spec.source == "embedded":
        if not spec.sha256:
            raise WeightsFault(f"{item.name}: the manifest has no sha256 for it.")
        check_hash(path, spec.sha256, "the installation is damaged: install selfhvd again.")
    else:
        check_record(path)


def _bytes(path: Path) -> int:
    """Size of a file; 0 where another process has just removed it."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _of_spec(spec: WeightSpec) -> Item:
    embedded = embedded_folder() / spec.filename
    path: Path | None = embedded if spec.source == "embedded" else stored_file(spec.name)
    if path is not None and not path.is_file():
        path = None
    record = read_record(path) if path is not None and spec.source != "embedded" else None
    state: State
    if spec.source == "embedded":
        state = "embedded" if path else "missing"
    else:
        state = "here" if path else "by hand" if spec.source == "by hand" else "absent"
    known = spec.expected_hash
    trust = "manifest" if spec.sha256 else "hash in the name" if spec.hash_prefix else "none published"
    if record is not None:
        known, trust = record.source_sha256, record.trust
    return Item(
        name=spec.name,
        kind=spec.kind,
        architecture=spec.architecture,
        state=state,
        path=path,
        size=_bytes(path) if path else spec.size,
        license=spec.license,
        source=spec.address,
        sha256=known,
        trust=trust,
    )


def _of_file(path: Path, kind: str) -> Item:
    record = read_record(path)
    try:
        architecture = read_metadata(path).get("architecture", "")
    except WeightsFault:
        architecture = ""
    return Item(
        name=path.stem,
        kind=kind,
        architecture=architecture or (record.architecture if record else ""),
        state="here",
        path=path,
        size=_bytes(path),
        license="",
        source=record.source if record else str(path),
        sha256=record.source_sha256 if record else "",
        trust=record.trust if record else "none",
    )
