"""Durable: files that are on the disk, and not only on their way there, before anything relies on them."""

from __future__ import annotations

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Wait until a file's contents, or a folder's entries, would survive a power cut.

    Raises:
        OSError: the disk could not take them.
    """
    if path.is_dir() and os.name == "nt":
        return  # folders cannot be opened there; NTFS keeps a journal of their entries
    place = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(place)
    finally:
        os.close(place)


def put_in_place(part: Path, target: Path) -> None:
    """Rename a finished file to its place; after a power cut there is the old one or the whole new one.

    Raises:
        OSError: the disk could not take it.
    """
    sync(part)
    os.replace(part, target)
    sync(target.parent)


def write_whole(target: Path, contents: bytes) -> None:
    """Write a small file, whole or not at all.

    Raises:
        OSError: the disk could not take it.
    """
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        part.write_bytes(contents)
        put_in_place(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
