"""What the store remembers of a file: where it came from and the hashes it must keep, as JSON beside it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from selfhvd_cli.errors import DiskFault
from selfhvd_cli.weights.locate import adapted_files, imported_folder, store_folder
from selfhvd_cli.weights.verify import check_hash, matches, sha256_of

Trust = Literal["manifest", "hash in the name", "Hub", "first pull", "import"]


@dataclass(frozen=True)
class Record:
    """Beside `name.safetensors` as `name.json`; it outlives the file, so that a later pull must bring the same."""

    name: str
    """Stem of the file in the store."""

    source: str
    """Address it was fetched from, without credentials; or the imported file's name."""

    source_sha256: str
    """Of the published file, before conversion."""

    source_size: int
    """Bytes of the published file."""

    stored_sha256: str
    """Of the safetensors file in the store."""

    trust: Trust
    """What vouches for `source_sha256`: the manifest, the digits in the name, the Hub's answer, or nobody yet."""

    revision: str = ""
    """Commit on the Hub that the file came from."""

    architecture: str = ""
    """The network whose keys it holds, where known."""

    stored_at: str = ""
    """UTC, ISO 8601."""


def now() -> str:
    """The time as records write it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read_record(path: Path) -> Record | None:
    """The record beside a safetensors file, or None where there is none that can be understood."""
    try:
        values = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        return Record(**{field.name: values[field.name] for field in fields(Record) if field.name in values})
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def write_record(path: Path, record: Record) -> None:
    """Put the record beside a safetensors file, whole or not at all.

    Raises:
        DiskFault: the folder cannot be written.
    """
    target = path.with_suffix(".json")
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        part.write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")
        part.replace(target)
    except OSError as fault:
        part.unlink(missing_ok=True)
        raise DiskFault(f"{target}: cannot be written ({fault.strerror or fault}).") from fault


def check_record(path: Path) -> Record | None:
    """The file's record, after the file was hashed against it; None where it has none.

    Raises:
        WeightsFault: the file changed since it was stored.
    """
    record = read_record(path)
    if record is None or matches(sha256_of(path), record.stored_sha256):
        return record
    renewed = read_record(path)  # another process may have put a new file and record here meanwhile
    if renewed is None or renewed == record:
        how = "import FILE --overwrite" if record.trust == "import" else f"pull {record.name} --again"
        remedy = f"it was damaged or changed; get it again: selfhvd weights {how}"
        check_hash(path, record.stored_sha256, remedy)
        return record
    check_hash(path, renewed.stored_sha256, "it was damaged or changed.")
    return renewed


def stored_file(name: str) -> Path | None:
    """The user's or the store's safetensors file of that name, unchecked; None where there is none."""
    imported, stored = (folder / f"{name}.safetensors" for folder in (imported_folder(), store_folder()))
    if _is_recorded(imported):
        return imported
    return next(adapted_files(name), stored if _is_recorded(stored) else None)


def _is_recorded(path: Path) -> bool:
    return path.is_file() and read_record(path) is not None
