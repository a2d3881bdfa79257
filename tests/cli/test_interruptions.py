"""Signals end a run at once, but for the imports they fall into."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from selfhvd_cli.cli import interruptions
from selfhvd_cli.cli.interruptions import interruptible

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of another kind")

SLOW = """
import time
begun = True
for _ in range(40):
    time.sleep(0.01)
finished = True
"""


@pytest.fixture
def slow_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module whose import takes a while."""
    (tmp_path / "slow_to_import.py").write_text(SLOW)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "slow_to_import", raising=False)
    return "slow_to_import"


def struck(number: int, work: Callable[[], object]) -> None:
    """Do some work, and send a signal meanwhile."""
    with interruptible():
        threading.Timer(0.1, os.kill, (os.getpid(), number)).start()
        work()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_an_import_is_finished_first(slow_module: str, name: str) -> None:
    number = getattr(signal, name)
    previous = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            struck(number, lambda: (__import__(slow_module), time.sleep(5)))
    finally:
        signal.signal(number, previous)
    assert sys.modules[slow_module].finished


def test_work_is_struck_at_once() -> None:
    done: list[bool] = []
    with pytest.raises(KeyboardInterrupt):
        struck(signal.SIGTERM, lambda: (time.sleep(20), done.append(True)))
    assert not done


def test_an_import_that_never_ends_is_given_up(slow_module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruptions, "LONGEST_IMPORT", 0.1)
    with pytest.raises(KeyboardInterrupt):
        struck(signal.SIGTERM, lambda: __import__(slow_module))
    assert slow_module not in sys.modules


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    with interruptible():
        pass
    assert before == [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
