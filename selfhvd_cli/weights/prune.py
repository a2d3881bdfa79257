"""Frees the store's space; what the user imported or trained lies elsewhere and is never touched."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from selfhvd_cli.errors import DiskFault
from selfhvd_cli.weights.locate import store_folder
from selfhvd_cli.weights.lock import StoreLock
from selfhvd_cli.weights.spec import manifest

PLAIN_FILES = "files"
"""Folder of the store for files kept as they were published (`published_file`)."""


@dataclass(frozen=True)
class Removal:
    """One file that went, or would go."""

    path: Path
    """Which."""

    size: int
    """Bytes freed."""

    reason: str
    """Why it may go."""


def prune(names: Collection[str] = (), everything: bool = False, dry_run: bool = False) -> Iterator[Removal]:
    """Remove leftovers (unfinished downloads, converted copies, files of unknown entries), or also named entries.

    Records stay: a later pull of the same name must bring the same file. A file that a process is working on stays.

    Args:
        names: entries whose files go as well.
        everything: all entries' files go.
        dry_run: only tell.

    Raises:
        DiskFault: a file cannot be removed.
    """
    folder = store_folder()
    for path in sorted([*folder.glob("*"), *folder.glob(f"{PLAIN_FILES}/*")]):
        reason = _reason(path, names, everything)
        if not reason or not path.is_file():
            continue
        with StoreLock(path.parent / f"{_entry_of(path)}.lock") as lock:
            if not lock.acquire(0) or not path.is_file():  # gone: another process pruned it meanwhile
                continue
            size = path.stat().st_size
            if not dry_run:
                try:
                    path.unlink()
                except OSError as fault:
                    raise DiskFault(f"{path}: cannot be removed ({fault.strerror or fault}).") from fault
            yield Removal(path, size, reason)


def _entry_of(path: Path) -> str:
    """The entry a file of the store belongs to, whose lock its writer holds."""
    name = re.sub(r"(\.safetensors|\.json)?(\.\d+)?(\.part(\.json)?)?$", "", path.name)
    return Path(name).stem if path.parent.name == PLAIN_FILES else name


def _reason(path: Path, names: Collection[str], everything: bool) -> str:
    if ".part" in path.suffixes:
        return "unfinished"
    if path.parent.name == PLAIN_FILES and path.suffix not in (".json", ".lock"):
        return "downloaded, can be fetched again" if everything else ""
    if path.suffix != ".safetensors":
        return ""
    if path.stem in names:
        return "named"
    if everything:
        return "downloaded, can be fetched again"
    if path.stem.startswith("file-"):
        return "converted copy"
    return "" if path.stem in manifest() or path.stem.startswith("hf-") else "not in the manifest"
