"""Interruptions: Ctrl-C, termination and a closed terminal end a run alike, but never in the middle of an import."""

from __future__ import annotations

import _thread
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

LOOK_AGAIN = 0.05
"""Seconds after which an interruption that came within an import tries anew."""

LONGEST_IMPORT = 30.0
"""Seconds after which it waits no more."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a run the way Ctrl-C does, so that it cleans up behind itself.

    None of them strikes in the middle of an import: half a module would stay behind, and torch aborts the process
    where one that it imports by itself is cut off.
    """
    first: dict[int, float] = {}

    def interrupt(number: int, frame: FrameType | None) -> None:
        asked = first.setdefault(number, time.monotonic())
        if _is_importing(frame) and time.monotonic() - asked < LONGEST_IMPORT:
            timer = threading.Timer(LOOK_AGAIN, _thread.interrupt_main, (number,))
            timer.daemon = True
            try:
                timer.start()
            except RuntimeError:
                pass  # no memory for a thread
            else:
                return
        first.clear()
        raise KeyboardInterrupt

    previous = {}
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            number = getattr(signal, name)
            if signal.getsignal(number) is signal.SIG_IGN:
                continue  # nohup, or a job in the background
            try:
                previous[number] = signal.signal(number, interrupt)
            except ValueError:
                break  # not the main thread: signals belong to whoever called us
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False
