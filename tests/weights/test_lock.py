"""One writer at a time, whichever of its threads takes the lock or lets it go."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

from selfhvd_cli.weights.lock import StoreLock


def test_a_lock_is_let_go_by_another_thread_than_took_it(tmp_path: Path) -> None:
    lock, other = StoreLock(tmp_path / "lock"), StoreLock(tmp_path / "lock")
    taken: list[bool] = []
    taker = Thread(target=lambda: taken.append(lock.acquire(0)))
    taker.start()
    taker.join()
    assert taken == [True]
    assert not other.acquire(0)
    with lock:
        pass
    assert other.acquire(0)
    with other:
        pass
