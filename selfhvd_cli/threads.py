"""Threads that begin only where there is memory for them."""

from __future__ import annotations

import mmap
import threading
from collections.abc import Callable

ROOM = 64 << 20
"""Bytes that must be had before a thread begins: its stack, and what libraries set up for every thread."""


def started_thread(run: Callable[[], None], name: str) -> threading.Thread:
    """A thread that has begun to run.

    Without memory a new thread does not fail, it hangs or aborts the process: Python waits for ever for one that
    could not say it lives, and the C library ends the process where its thread-local data do not fit.

    Raises:
        MemoryError: there is no room for it.
    """
    require_room()
    thread = threading.Thread(target=run, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError as fault:
        raise MemoryError(str(fault)) from fault
    return thread


def require_room() -> None:
    """Raise MemoryError unless another `ROOM` bytes could be had."""
    try:
        mmap.mmap(-1, ROOM).close()
    except OSError as fault:
        raise MemoryError(f"fewer than {ROOM >> 20} MiB are left") from fault
