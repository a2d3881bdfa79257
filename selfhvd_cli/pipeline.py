"""Pipeline: stages of a stream that run at the same time, each in a thread, with few items waiting between them.

The threads share one interpreter; it pays because decoders, encoders and tensor kernels let go of the interpreter's
lock while they work. What a stage computes with torch stays in its thread. Were it spread over others, the network's
would work worse: OpenMP lets threads sleep at once where there are more of them than processors, and to wake them for
every layer took 4 % of the time of a 1080p clip on two cores.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from types import TracebackType
from typing import Generic, TypeVar

import cv2
import numpy as np
import torch

from selfhvd_cli.threads import started_thread

T = TypeVar("T")

_POLL = 0.1
"""Seconds after which a waiting stage looks whether the run was given up."""


class Ahead(Generic[T]):
    """An iterable that is run in a thread, at most `depth` items ahead of whoever iterates over this.

    A context manager: leaving it stops the thread, also in the middle. What the iterable raises is raised by the
    iteration, in its place.
    """

    def __init__(
        self, items: Iterable[T], depth: int, thread: LastingThread | None = None, spread: bool = False
    ) -> None:
        """
        Args:
            thread: to run in where it has nothing else to do; else one of its own.
            spread: whether what it computes there with torch is spread over all of torch's threads.
        """
        self._items = items
        self._lasting = thread
        self._spread = spread
        self._queue: queue.Queue[tuple[T | None, BaseException | None, bool]] = queue.Queue(depth)
        self._stop = threading.Event()
        self.busy_seconds = 0.0
        """Time the iterable took to make its items."""

        self.waited_seconds = 0.0
        """Time the consumer waited for them."""

    def __enter__(self) -> Ahead[T]:
        turn = self._lasting.start(self._run) if self._lasting is not None else None
        self._run_in_thread = turn or _settled_thread(self._run, "ahead", self._spread)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._run_in_thread.join()

    def __iter__(self) -> Iterator[T]:
        while True:
            asked = time.monotonic()
            item, fault, ended = _take(self._queue, self._stop)
            self.waited_seconds += time.monotonic() - asked
            if fault is not None:
                raise fault
            if ended:
                return
            yield item  # type: ignore[misc]

    def _run(self) -> None:
        try:
            source = iter(self._items)
            while not self._stop.is_set():
                started = time.monotonic()
                try:
                    item = next(source)
                except StopIteration:
                    _put(self._queue, (None, None, True), self._stop)
                    return
                self.busy_seconds += time.monotonic() - started
                _put(self._queue, (item, None, False), self._stop)
        except BaseException as fault:  # handed to the consumer, who raises it
            _put(self._queue, (None, fault, False), self._stop)


class Behind(Generic[T]):
    """A consumer that is run in a thread, at most `depth` items behind whoever calls `put`.

    A context manager: leaving it normally waits until every item is consumed; leaving it by an error drops what
    waits. What the consumer raises is raised by the next `put`, or at the end.
    """

    def __init__(self, consume: Callable[[T], None], depth: int) -> None:
        self._consume = consume
        self._queue: queue.Queue[tuple[T | None, bool]] = queue.Queue(depth)
        self._stop = threading.Event()
        self._fault: BaseException | None = None
        self.busy_seconds = 0.0
        """Time the consumer took."""

        self.done = 0
        """Items consumed so far."""

    def __enter__(self) -> Behind[T]:
        self._thread = _settled_thread(self._run, "behind", spread=False)
        return self

    def put(self, item: T) -> None:
        """Hand over one item; waits while `depth` of them are waiting already."""
        _put(self._queue, (item, False), self._stop)
        self._raise_fault()

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                _put(self._queue, (None, True), self._stop)
                while self._thread.is_alive():
                    # In slices: a join without a limit would not let Ctrl-C through on every platform.
                    self._thread.join(_POLL)
        finally:
            self._stop.set()
            self._thread.join()
        if kind is None:
            self._raise_fault()

    def _raise_fault(self) -> None:
        if self._fault is not None:
            raise self._fault

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                item, ended = _take(self._queue, self._stop)
                if ended or self._stop.is_set():
                    return
                started = time.monotonic()
                self._consume(item)  # type: ignore[arg-type]
                self.busy_seconds += time.monotonic() - started
                self.done += 1
        except _Stopped:
            return
        except BaseException as fault:  # handed to the producer, who raises it
            self._fault = fault
            self._stop.set()


class LastingThread:
    """A thread that runs one thing after the other: what libraries keep for a thread, it does not lose in between."""

    def __init__(self, name: str) -> None:
        self._turns: queue.SimpleQueue[Turn] = queue.SimpleQueue()
        self._newest: Turn | None = None
        _settled_thread(self._live, name, spread=True)

    def start(self, run: Callable[[], None]) -> Turn | None:
        """Have it run `run`; None while it runs something else, which may be waiting for its user."""
        if self._newest is not None and not self._newest.has_ended:
            return None
        self._newest = Turn(run)
        self._turns.put(self._newest)
        return self._newest

    def _live(self) -> None:
        while True:
            self._turns.get().take()


class Turn:
    """Something that a lasting thread runs."""

    def __init__(self, run: Callable[[], None]) -> None:
        self._run: Callable[[], None] | None = run
        self._ended = threading.Event()

    @property
    def has_ended(self) -> bool:
        return self._ended.is_set()

    def take(self) -> None:
        """Run it, and forget it with all that it refers to."""
        run, self._run = self._run, None
        try:
            assert run is not None
            run()
        finally:
            del run
            self._ended.set()

    def join(self) -> None:
        """Wait until it has ended."""
        self._ended.wait()


def _settled_thread(run: Callable[[], None], name: str, spread: bool) -> threading.Thread:
    """A thread that runs `run`, once what libraries keep for every thread is set up in it.

    Args:
        spread: whether what it computes with torch is spread over all of torch's threads.

    Raises:
        MemoryError: there is no room for it; libraries say so in errors of their own.
    """
    settled = threading.Event()
    faults: list[BaseException] = []
    alone, all_threads = not spread and _threads_are_counted_apart(), torch.get_num_threads()

    def settle_and_run() -> None:
        try:
            if alone:
                torch.set_num_threads(1)
            _settle()
        except BaseException as fault:  # handed to the starter, who raises it
            faults.append(fault)
            return
        finally:
            settled.set()
        run()

    thread = started_thread(settle_and_run, name)
    settled.wait()
    if alone:  # what it said holds for itself and for all that begin from then on
        torch.set_num_threads(all_threads)
    if faults:
        thread.join()
        raise faults[0]
    return thread


@cache
def _threads_are_counted_apart() -> bool:
    """Whether each thread has a number of its own of threads that help it, as with OpenMP; else it is set once."""
    return "parallel backend: OpenMP" in torch.__config__.parallel_info()


def _settle() -> None:
    """Have libraries set up what they keep for every thread while there is memory: later they abort the process where
    there is none, instead of saying so."""
    rows = np.ones((512, 256), np.float32)
    rows = cv2.filter2D(rows, -1, np.ones((1, 2), np.float32)) * np.float32(0.5) + rows
    torch.from_numpy(cv2.resize(rows, (128, 256), interpolation=cv2.INTER_AREA)).mul(0.5)


class _Stopped(Exception):
    """The run was given up while a stage waited."""


def _take(source: queue.Queue[T], stop: threading.Event) -> T:
    while True:
        try:
            return source.get(timeout=_POLL)
        except queue.Empty:
            if stop.is_set():
                raise _Stopped from None


def _put(target: queue.Queue[T], item: T, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            target.put(item, timeout=_POLL)
            return
        except queue.Full:
            continue
