"""One writer at a time for a file of the store; the kernel frees the lock of a process that dies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from selfhvd_cli.errors import DiskFault

LOOK_AGAIN = 2.0
"""Seconds between two words about waiting."""


@contextmanager
def locked(path: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold `path` (an empty file that stays) exclusively; `on_wait` is called while another process has it.

    Raises:
        DiskFault: the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                lock.acquire(timeout=LOOK_AGAIN)
                break
            except Timeout:
                on_wait()
    except OSError as fault:
        raise DiskFault(
            f"{path.parent}: cannot be written ({fault.strerror or fault}); "
            f"choose another folder for weights: SELFHVD_WEIGHTS_DIR=FOLDER"
        ) from fault
    try:
        yield
    finally:
        lock.release()


def is_held(path: Path) -> bool:
    """Whether some process holds the lock now."""
    from filelock import FileLock, Timeout

    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
