"""Durable: files that are whole whatever happens, on the disk before anything relies on them, one writer each."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_HERE = -100
"""AT_FDCWD: paths begin at the working folder."""

_SWAP = 2
"""RENAME_EXCHANGE of Linux and RENAME_SWAP of macOS."""


def sync(path: Path) -> None:
    """Wait until a file's contents, or a folder's entries, would survive a power cut.

    A folder is left to its disk where that offers no more: shared folders of virtual machines and some network
    disks do not sync folders, and one that may be written but not read cannot be opened.

    Raises:
        OSError: the disk could not take them.
    """
    if path.is_dir():
        if os.name != "nt":  # folders cannot be opened there; NTFS keeps a journal of their entries
            with _unless(errno.EACCES, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS):
                _sync(path, os.O_RDONLY)
    else:
        _sync(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)


def _sync(path: Path, flags: int) -> None:
    place = os.open(path, flags)
    try:
        os.fsync(place)
    finally:
        os.close(place)


@contextmanager
def _unless(*numbers: int) -> Iterator[None]:
    """Let an OSError pass in silence if it has one of these numbers."""
    try:
        yield
    except OSError as fault:
        if fault.errno not in numbers:
            raise


def put_in_place(part: Path, target: Path) -> None:
    """Rename a finished file to its place; after a power cut there is the old one or the whole new one.

    Raises:
        OSError: the disk could not take it.
    """
    sync(part)
    os.replace(part, target)
    sync(target.parent)


def exchange(one: Path, other: Path) -> bool:
    """Swap two files or folders in one step, neither name ever missing; False where that cannot be done."""
    names = os.fsencode(one), os.fsencode(other)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "linux":
            done = library.renameat2(_HERE, names[0], _HERE, names[1], ctypes.c_uint(_SWAP)) == 0
        elif sys.platform == "darwin":
            done = library.renamex_np(*names, ctypes.c_uint(_SWAP)) == 0
        else:
            return False
    except (OSError, AttributeError, TypeError):
        return False  # an old C library
    return bool(done)


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


def lock(place: int) -> bool:
    """Lock an open file or folder until it is closed; False while another process holds it.

    The kernel frees the lock of a process that dies. Where there are no such locks every call succeeds.
    """
    if os.name == "nt":
        return True
    import fcntl

    try:
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a disk that knows no locks
    return True


def hold(path: Path, folder: bool = False) -> int | None:
    """Open a file or an empty folder, made where there is none, and `lock` it; None while another process holds it.

    Whoever has it may remove it before closing what this gives.
    """
    while True:
        if folder:
            path.mkdir(exist_ok=True)
        place = os.open(path, os.O_RDONLY if folder else os.O_RDWR | os.O_CREAT, 0o666)
        if not lock(place):
            os.close(place)
            return None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(place), os.stat(path)):
                return place
        os.close(place)  # the other one ended in between, and took it away


@contextmanager
def only_one(path: Path) -> Iterator[bool]:
    """Hold an empty file, which is gone afterwards; gives False while another process holds it."""
    place = hold(path)
    if place is None:
        yield False
        return
    try:
        yield True
    finally:
        with suppress(PermissionError):  # Windows does not remove what is open; there the file stays
            path.unlink(missing_ok=True)
        os.close(place)
