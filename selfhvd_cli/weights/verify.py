"""A file's sha256, compared with what it must be; a file once seen good is not hashed twice in a process."""

from __future__ import annotations

import hashlib
from pathlib import Path

from selfhvd_cli.errors import WeightsFault

BLOCK = 1 << 20
"""Bytes hashed at a time."""

_seen: dict[tuple[str, int, int, int], str] = {}


def sha256_of(path: Path) -> str:
    """The file's sha256 in hex; remembered until the file's size, time or inode changes.

    Raises:
        WeightsFault: the file is missing or cannot be read.
    """
    try:
        status = path.stat()
        identity = (str(path.resolve()), status.st_size, status.st_mtime_ns, status.st_ino)
        if identity not in _seen:
            digest = hashlib.sha256()
            with path.open("rb") as stream:
                while block := stream.read(BLOCK):
                    digest.update(block)
            _seen[identity] = digest.hexdigest()
        return _seen[identity]
    except OSError as fault:
        raise WeightsFault(f"{path}: cannot be read ({fault.strerror or fault}).") from fault


def matches(actual: str, expected: str) -> bool:
    """Whether a sha256 is the expected one, given whole or by its first digits (8 at least)."""
    return len(expected) >= 8 and actual.startswith(expected)


def check_hash(path: Path, expected: str, remedy: str) -> str:
    """The file's sha256 if it begins with `expected`.

    Raises:
        WeightsFault: it does not; the message shows both and ends with `remedy`. The file is left alone.
    """
    actual = sha256_of(path)
    if not matches(actual, expected):
        raise WeightsFault(f"{path}: sha256 should be {expected}, got {actual}; {remedy}")
    return actual
