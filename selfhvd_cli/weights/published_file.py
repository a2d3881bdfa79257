"""A published file kept as it is, for libraries that read a format of their own; never for pickled weights."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from selfhvd_cli.errors import WeightsFault
from selfhvd_cli.weights import patience as patience_module
from selfhvd_cli.weights.https import download, forget
from selfhvd_cli.weights.locate import store_folder
from selfhvd_cli.weights.lock import StoreLock
from selfhvd_cli.weights.pull import is_offline
from selfhvd_cli.weights.record import Record, Trust, check_record, now, read_record, write_record
from selfhvd_cli.weights.redact import redact_url
from selfhvd_cli.weights.reference import hub_reference
from selfhvd_cli.weights.spec import WeightSpec
from selfhvd_cli.weights.verify import sha256_of

PLAIN = (".mat", ".npy", ".npz", ".txt", ".json")
"""Endings of files that hold numbers or text only."""


def published_file(reference: str, *, offline: bool = False) -> Path:
    """The file that `hf://owner/repo/file[@revision]` means, fetched into the store if it is not there.

    Raises:
        WeightsFault: not of a plain format, not reachable, another file than before, or not here while offline.
        DiskFault: the store cannot be written.
    """
    spec = hub_reference(reference)
    suffix = Path(spec.filename).suffix.lower()
    if suffix not in PLAIN:
        raise WeightsFault(f"{reference}: only {', '.join(PLAIN)} files are kept as they are.")
    path = store_folder() / "files" / f"{spec.name}{suffix}"
    if _is_here(path):
        return path
    if is_offline(offline):
        raise WeightsFault(
            f"{reference}: not on this machine, and the network is not to be used (--offline, SELFHVD_OFFLINE or "
            f"HF_HUB_OFFLINE). Run the same once where there is a network, or put the file at {path}"
        )
    with StoreLock(path.with_suffix(".lock")) as lock:
        while not lock.acquire():
            pass
        if not _is_here(path):
            _fetch(spec, path)
    return path


def has_published_file(reference: str) -> bool:
    """Whether `published_file` would give the file without a network.

    Raises:
        WeightsFault: the file is there and is not what it was.
    """
    spec = hub_reference(reference)
    return _is_here(store_folder() / "files" / f"{spec.name}{Path(spec.filename).suffix.lower()}")


def _is_here(path: Path) -> bool:
    if not path.is_file():
        return False
    check_record(path)
    return True


def _fetch(spec: WeightSpec, path: Path) -> None:
    from selfhvd_cli.weights.hub import describe

    part = path.with_suffix(f"{path.suffix}.part")
    asking = describe(spec, os.environ.get("SELFHVD_MIRROR") or None, patience_module.DEFAULT)
    while True:
        try:
            next(asking)
        except StopIteration as answer:
            there = answer.value
            break
    for _ in download(there.download, part, patience_module.DEFAULT):
        pass
    actual = sha256_of(part)
    known = read_record(path)
    promised = there.sha256 or (known.source_sha256 if known is not None else "") or _digits_in(spec.filename, actual)
    if promised and not actual.startswith(promised):
        forget(part)
        raise WeightsFault(f"{spec.address}: sha256 should be {promised}, got {actual}; refused.")
    source = redact_url(there.download.url)
    trust: Trust = "Hub" if there.sha256 else "first pull"
    record = Record(spec.name, source, actual, part.stat().st_size, actual, trust, there.commit, "", now())
    write_record(path, record)
    os.replace(part, path)
    forget(part)


def _digits_in(filename: str, actual: str) -> str:
    """First digits of the hash where the authors put them into the name (`name-0a1b2c3d.mat`)."""
    match = re.search(r"-([0-9a-f]{8})\.[a-z]+$", filename)
    return match[1] if match and len(actual) == hashlib.sha256().digest_size * 2 else ""
