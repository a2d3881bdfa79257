"""Deblurring of several clips at the same time: each device has a process of its own, which takes one by one."""

from __future__ import annotations

import multiprocessing
import signal
import traceback
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import FrameType, TracebackType

import torch

from selfhvd_cli.deblur_video import deblur_steps
from selfhvd_cli.deblurring.job import DeblurJob
from selfhvd_cli.deblurring.report import Progress
from selfhvd_cli.device import choose_compute
from selfhvd_cli.errors import SelfHVDError, means_device_failed, portable
from selfhvd_cli.heap import keep_large_blocks
from selfhvd_cli.restore.memory import share_of_memory
from selfhvd_cli.waiting import wait_asleep

FREE = "free"
"""What a process says that wants a clip."""

PATIENCE = 20.0
"""Seconds a process has to take its unfinished files away before it is killed."""


@dataclass(frozen=True)
class ClipProgress:
    """What one of several clips has come to."""

    number: int
    """Place of its job among the jobs."""

    progress: Progress | None = None
    """As of `deblur_steps`; the last one of a clip holds its report. None where it failed."""

    fault: Exception | None = None
    """Why it failed."""

    trace: str = ""
    """Where the fault arose, as text."""

    @property
    def ends(self) -> bool:
        """Whether the clip is done or failed."""
        return self.progress is None or self.progress.report is not None


def deblur_clips(jobs: Sequence[DeblurJob], devices: Sequence[str]) -> Generator[ClipProgress, None, None]:
    """Do several jobs, as many at a time as there are devices; what each gives is what one process alone gives.

    A clip that fails does not keep the others from it, and neither does a process that dies. Closing the iterator
    early (or an exception, or Ctrl-C) gives up all that is under way, as it does for one clip.

    Args:
        jobs: their own devices are not looked at.
        devices: names as of `--device`; the same one several times is shared.

    Raises:
        SelfHVDError: a device is not there.
    """
    chosen = [choose_compute(device).device for device in devices]
    waiting = deque(_fitted(jobs, chosen))
    with _Processes() as processes:
        busy = {processes.start(): _Place(device) for device in devices[: len(waiting)]}
        while busy:
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                place = busy[connection]
                try:
                    said = connection.recv()
                except (EOFError, OSError):
                    del busy[connection]
                    if not place.asked:
                        raise SelfHVDError(
                            f"the process on {place.device} did not start; run without --devices."
                        ) from None
                    if waiting:
                        busy[processes.start()] = _Place(place.device)
                    if place.number is not None:
                        yield ClipProgress(place.number, fault=_died(place.device))
                    continue
                if isinstance(said, ClipProgress):
                    if said.ends:
                        place.number = None
                    yield said
                elif waiting:
                    place.asked = True
                    place.number, job = waiting.popleft()
                    with suppress(OSError):  # it died; the connection will tell
                        connection.send((place.number, replace(job, device=place.device)))
                else:
                    del busy[connection]
                    connection.close()


@dataclass
class _Place:
    """A device, and what its process does."""

    device: str
    asked: bool = False
    """Whether it ever asked for a clip."""

    number: int | None = None
    """The job it has in hand."""


def _fitted(jobs: Sequence[DeblurJob], devices: Sequence[torch.device]) -> list[tuple[int, DeblurJob]]:
    """The jobs with their numbers, the memory shared between the processes on a CPU."""
    cpu = torch.device("cpu")
    return [
        (number, replace(job, devices=(), max_memory=share_of_memory(devices, cpu, job.max_memory)))
        for number, job in enumerate(jobs)
    ]


def _died(device: str) -> SelfHVDError:
    return SelfHVDError(
        f"the process on {device} ended in the middle; out of memory, or killed. Try this clip alone."
    )


class _Processes:
    """The processes of a run; leaving it lets them take their files away, and ends them."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._stack = ExitStack()
        self._running: list[SpawnProcess] = []

    def __enter__(self) -> _Processes:
        return self

    def start(self) -> Connection:
        """Start one more; gives the way to talk to it."""
        wait_asleep()
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, torch.get_num_threads()), daemon=True)
        process.start()
        theirs.close()
        self._running.append(process)
        self._stack.callback(ours.close)
        return ours

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            for process in self._running:
                process.terminate()
        self._stack.close()
        for process in self._running:
            process.join(PATIENCE)
            if process.is_alive():
                process.kill()
                process.join()


def _serve(connection: Connection, threads: int) -> None:
    """The life of a process: one clip after the other, until nobody asks any more."""
    # Ctrl-C reaches every process of a terminal; the first one ends the others, by SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupt)
    keep_large_blocks()
    # As many as one process alone has, for the last bits of a result depend on it; those that wait sleep.
    torch.set_num_threads(threads)
    with suppress(EOFError, OSError, KeyboardInterrupt):  # the first process ended, or ends us
        while True:
            connection.send(FREE)
            number, job = connection.recv()
            try:
                with closing(deblur_steps(job)) as steps:
                    for step in steps:
                        _tell(connection, ClipProgress(number, step))
            except Exception as fault:  # told by the first process, which has the terminal
                _tell(connection, ClipProgress(number, fault=portable(fault), trace=traceback.format_exc()))
                if means_device_failed(fault):
                    return  # a new process may find the device well again


def _tell(connection: Connection, what: ClipProgress) -> None:
    try:
        connection.send(what)
    except OSError:  # nobody listens any more: as if interrupted
        raise KeyboardInterrupt from None


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt
