"""Pictures on their way: the same ones, in order, and what goes wrong on the way is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from selfhvd_cli.errors import MemoryFault
from selfhvd_cli.ops.transfer import to_device, to_host
from selfhvd_cli.restore.transfer import beside, computed_ahead

CPU = torch.device("cpu")


class Stream:
    """In place of a stream of CUDA: notes what it was asked to wait for."""

    def __init__(self, device: object = None) -> None:
        self.waited: list[object] = []

    def wait_stream(self, other: object) -> None:
        self.waited.append(other)

    def wait_event(self, event: object) -> None:
        self.waited.append(event)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *fault: object) -> None:
        return


@pytest.fixture
def main_stream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stream]:
    """Streams and events without a device."""
    main = Stream()
    beside.cache_clear()
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "Event", lambda: SimpleNamespace(record=lambda stream: None))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: main)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: stream)
    monkeypatch.setattr(torch.cuda, "device", lambda device: Stream())
    yield main
    beside.cache_clear()


def numbered(count: int, fault: Exception | None = None) -> Iterator[list[tuple[str, Tensor | None]]]:
    for index in range(count):
        yield [(threading.current_thread().name, torch.tensor(index)), ("not needed", None)]
    if fault is not None:
        raise fault


def value(batch: list[tuple[str, Tensor | None]]) -> int:
    picture = batch[0][1]
    assert picture is not None
    return int(picture)


def test_on_a_cpu_nothing_runs_beside() -> None:
    with computed_ahead(numbered(3), CPU) as results:
        assert [batch[0][0] for batch in results] == [threading.current_thread().name] * 3


def test_on_cuda_results_come_in_order_from_a_thread_of_their_own(main_stream: Stream) -> None:
    with computed_ahead(numbered(20), torch.device("cuda")) as results:
        found = list(results)
    assert [value(batch) for batch in found] == list(range(20))
    assert {batch[0][0] for batch in found} == {"network on cuda"}
    assert len(main_stream.waited) == 20, "each result is waited for before it is used"


@pytest.mark.usefixtures("main_stream")
def test_the_next_clip_has_the_thread_and_the_memory_of_the_one_before() -> None:
    lanes = set()
    for _ in range(3):
        with computed_ahead(numbered(2), torch.device("cuda")) as results:
            list(results)
        lanes.add(beside(torch.device("cuda")))
    assert len(lanes) == 1


@pytest.mark.usefixtures("main_stream")
def test_two_clips_at_once_do_not_wait_for_each_other() -> None:
    with computed_ahead(numbered(50), torch.device("cuda")) as one:
        first = next(one)
        with computed_ahead(numbered(50), torch.device("cuda")) as two:
            assert [value(batch) for batch in two] == list(range(50))
        assert [value(batch) for batch in (first, *one)] == list(range(50))


@pytest.mark.usefixtures("main_stream")
def test_what_goes_wrong_there_is_told_here_after_the_results_before_it() -> None:
    found = []

    def take() -> None:
        with computed_ahead(numbered(3, MemoryFault("does not fit")), torch.device("cuda")) as results:
            found.extend(value(batch) for batch in results)

    with pytest.raises(MemoryFault, match="does not fit"):
        take()
    assert found == [0, 1, 2]


@pytest.mark.usefixtures("main_stream")
def test_leaving_early_ends_the_work_there() -> None:
    batches = numbered(1_000_000)
    with computed_ahead(batches, torch.device("cuda")) as results:
        next(results)
    # Nobody else takes from it any more.
    assert value(next(batches)) < 10
    with computed_ahead(numbered(3), torch.device("cuda")) as results:
        assert [value(batch) for batch in results] == [0, 1, 2]


def test_pictures_stay_as_they_are() -> None:
    picture = torch.rand(3, 4, 5)
    assert torch.equal(to_host([to_device(picture, CPU)])[0], picture)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_pictures_go_there_and_back_unchanged() -> None:
    device = torch.device("cuda")
    frames = (torch.rand(8, 3, 270, 480) * 20000).to(torch.int16)
    there = (to_device(frame, device) for frame in frames)
    batches: Iterator[list[tuple[int, Tensor | None]]] = ([(index, picture)] for index, picture in enumerate(there))
    with computed_ahead(batches, device) as ahead:
        back = [(index, *to_host([picture])) for ((index, picture),) in ahead if picture is not None]
    assert [index for index, _ in back] == list(range(8))
    assert all(torch.equal(picture, frame) for (_, picture), frame in zip(back, frames, strict=True))
