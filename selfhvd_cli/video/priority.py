"""The scheduling of the process, kept as it is while encoders open."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

THREADS = Path("/proc/self/task")
"""One entry a thread, named by its number; on Linux alone."""


@contextmanager
def priority_kept() -> Iterator[None]:
    """Give this thread, and those that begin inside, the scheduling policy that this thread had before.

    SVT-AV1 makes its threads real-time where it may, as root in a container: `SCHED_FIFO` 99. It leaves the thread
    that opened it so as well, and with that every process started later; the machine then answers nobody else.
    """
    if not hasattr(os, "sched_setscheduler") or not THREADS.is_dir():
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    others = _threads() - {threading.get_native_id()}
    try:
        yield
    finally:
        for thread in _threads() - others:
            with suppress(ProcessLookupError):  # it has ended since
                if os.sched_getscheduler(thread) != policy:
                    os.sched_setscheduler(thread, policy, parameters)


def _threads() -> set[int]:
    return {int(entry.name) for entry in THREADS.iterdir()}
