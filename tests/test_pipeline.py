"""Stages that run at the same time: nothing lost, nothing reordered, nothing left running."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
import torch

from selfhvd_cli.pipeline import Ahead, Behind

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory work on Linux")


def stages_alive() -> int:
    return sum(thread.name in ("ahead", "behind") for thread in threading.enumerate())


def test_items_arrive_in_order_through_both_stages() -> None:
    seen: list[int] = []
    with Ahead(range(100), 3) as ahead, Behind(seen.append, 3) as behind:
        for item in ahead:
            behind.put(item)
    assert seen == list(range(100))
    assert behind.done == 100
    assert stages_alive() == 0


@pytest.mark.skipif("parallel backend: OpenMP" not in torch.__config__.parallel_info(), reason="one number for all")
def test_what_stages_compute_leaves_the_other_threads_to_their_user() -> None:
    before = torch.get_num_threads()

    def helpers() -> Iterator[int]:
        yield torch.get_num_threads()

    seen: list[int] = []
    torch.set_num_threads(3)
    try:
        with Ahead(helpers(), 1) as alone, Ahead(helpers(), 1, spread=True) as spread:
            assert (list(alone), list(spread)) == ([1], [3])
        with Behind(lambda _: seen.append(torch.get_num_threads()), 1) as behind:
            behind.put(None)
        assert seen == [1]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_the_source_runs_ahead_only_as_far_as_the_queue_is_deep() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for item in range(50):
            made.append(item)
            yield item

    with Ahead(items(), 4) as ahead:
        iterator = iter(ahead)
        next(iterator)
        time.sleep(0.3)
        assert len(made) <= 1 + 4 + 1  # taken, waiting, and one in hand


def test_a_fault_of_the_source_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise ValueError("broken at 3")

    seen: list[int] = []
    with pytest.raises(ValueError, match="broken at 3"), Ahead(items(), 8) as ahead:
        seen.extend(ahead)
    assert seen == [0, 1, 2]
    assert stages_alive() == 0


def test_a_fault_of_the_consumer_reaches_the_producer() -> None:
    def refuse(item: int) -> None:
        if item == 2:
            raise OSError("disk full")

    def run() -> None:
        with Behind(refuse, 1) as behind:
            for item in range(1000):
                behind.put(item)

    with pytest.raises(OSError, match="disk full"):
        run()
    assert stages_alive() == 0


def test_a_fault_in_the_last_item_is_not_lost() -> None:
    def refuse(item: int) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), Behind(refuse, 4) as behind:
        behind.put(1)


@pytest.mark.parametrize("stage", [Ahead(range(3), 1), Behind(print, 1)], ids=["ahead", "behind"])
def test_a_stage_that_cannot_begin_says_so_to_its_starter(
    stage: Ahead[int] | Behind[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory() -> None:
        raise RuntimeError("Invalid thread pool!")

    monkeypatch.setattr("selfhvd_cli.pipeline._settle", no_memory)
    with pytest.raises(RuntimeError, match="Invalid thread pool"), stage:
        pytest.fail("it began")
    assert stages_alive() == 0


@linux
def test_without_room_no_thread_begins() -> None:
    program = """
import resource
from pathlib import Path
from selfhvd_cli.threads import started_thread
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + 20_000_000
resource.setrlimit(resource.RLIMIT_AS, (size, size))
try:
    started_thread(lambda: print("began"), "test")
except MemoryError:
    print("no room")
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert run.stdout == "no room\n", run.stderr


def test_giving_up_stops_both_stages_and_drops_what_waits() -> None:
    seen: list[int] = []

    def slow(item: int) -> None:
        time.sleep(0.01)
        seen.append(item)

    def run() -> None:
        with Ahead(range(10_000), 4) as ahead, Behind(slow, 4) as behind:
            for item in ahead:
                behind.put(item)
                if item == 10:
                    raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert stages_alive() == 0
    assert len(seen) <= 11
