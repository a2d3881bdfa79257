"""Crew: one network in several processes, each on its own device, which share the windows of a clip."""

from __future__ import annotations

import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.multiprocessing import get_context

from selfhvd_cli.device import Compute
from selfhvd_cli.errors import SelfHVDError, portable
from selfhvd_cli.heap import keep_large_blocks
from selfhvd_cli.pipeline import Ahead, Behind
from selfhvd_cli.restore.engine import Engine
from selfhvd_cli.restore.held import Held
from selfhvd_cli.restore.load import load_restorer
from selfhvd_cli.restore.outcome import Outcome, restore_and_judge
from selfhvd_cli.restore.plan import Plan
from selfhvd_cli.waiting import wait_asleep

Place = TypeVar("Place")

Result = TypeVar("Result")

Told = tuple[Result, tuple[str, ...]]
"""A result of a window, and what happened on the way, in words."""

Task = Callable[[Engine, list[Held], slice], Result]
"""What a process is to do with the frames of a window, of which some are wanted."""


@dataclass(frozen=True)
class Post:
    """What one process of a crew runs."""

    model: str
    """A name of `ARCHITECTURES`."""

    weights: str
    """As the user named them."""

    path: Path
    """Their safetensors file."""

    compute: Compute
    """Device and precision."""

    plan: Plan
    """Windows and tiles; the same for the whole crew, or the results would differ."""

    threads: int
    """Of the process; the same for the whole crew as for one process alone, or the last bits would differ."""


class Crew:
    """Processes that restore windows, in turns; every window is computed as a single process would.

    A context manager: leaving it ends the processes, also in the middle of a window.
    """

    def __init__(self, posts: Sequence[Post], early: bool = False) -> None:
        """
        Args:
            early: whether a process gets its next window while it works on one. An accelerator would wait for a third
                of its time otherwise; beside a CPU's seconds it is nothing, and a window takes memory.
        """
        self._posts = posts
        self._early = early
        self._stack = ExitStack()
        self._members: list[Member] = []
        self._turn = 0

    def __str__(self) -> str:
        return f"{len(self._posts)} processes on {', '.join(str(post.compute.device) for post in self._posts)}"

    def __enter__(self) -> Crew:
        wait_asleep()
        context = get_context("spawn")
        for post in self._posts:
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, post), daemon=True)
            process.start()
            theirs.close()
            self._stack.callback(process.join)
            self._stack.callback(process.terminate)
            self._stack.callback(ours.close)
            # Not this thread: a pipe that is full both ways would never move again.
            sender = self._hand(post)
            self._members.append(Member(post, ours, sender, self._hand(post) if self._early else sender))
        return self

    def _hand(self, post: Post) -> ThreadPoolExecutor:
        hand = ThreadPoolExecutor(1, thread_name_prefix=str(post.compute.device))
        self._stack.callback(hand.shutdown, wait=False, cancel_futures=True)
        return hand

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def restore(self, work: Iterable[tuple[Place, list[Held], slice]]) -> Iterator[tuple[Place, Told[Tensor]]]:
        """Restore windows in their order, one a process ahead of what is taken.

        Args:
            work: whatever stands for the window, its frames, and which of them are wanted.

        Yields:
            The place with `[K, 3, H, W]`, float32.

        Raises:
            SelfHVDError: a child of it, as `Engine.restore`; or a process ended.
        """
        for place, (pictures, events) in self.run(work, _restored):
            yield place, (torch.from_numpy(pictures), events)

    def judge(self, work: Iterable[tuple[Place, list[Held], slice]]) -> Iterator[tuple[Place, Told[list[Outcome]]]]:
        """The same, judged as well: of a network that remembers frames, whose pictures are final.

        What the guard has to do is shared, and of a frame of planes its codes come back, an eighth of its RGB.
        """
        return self.run(work, restore_and_judge)

    def run(
        self, work: Iterable[tuple[Place, list[Held], slice]], task: Task[Result]
    ) -> Iterator[tuple[Place, Told[Result]]]:
        """Whatever is to be done with windows: `restore` says how.

        Args:
            task: a function of a module, which the processes import.
        """
        under_way: deque[tuple[Place, Future[Told[Result]]]] = deque()
        at_most = len(self._members) * (2 if self._early else 1)
        for place, frames, keep in work:
            if len(under_way) > at_most:
                yield self._oldest(under_way)
            member = self._members[self._turn]
            self._turn = (self._turn + 1) % len(self._members)
            under_way.append((place, member.ask((task, frames, keep))))
        while under_way:
            yield self._oldest(under_way)

    @staticmethod
    def _oldest(under_way: deque[tuple[Place, Future[Result]]]) -> tuple[Place, Result]:
        place, future = under_way.popleft()
        return place, future.result()


@dataclass(frozen=True)
class Failure:
    """What a process answers where it could not do its task."""

    fault: Exception
    trace: str
    """Where it came from."""

    @staticmethod
    def of(fault: Exception) -> Failure:
        return Failure(portable(fault), traceback.format_exc())


@dataclass(frozen=True)
class Member:
    """A process of a crew, as the first one knows it."""

    post: Post
    connection: Connection

    sender: ThreadPoolExecutor
    """One thread."""

    receiver: ThreadPoolExecutor
    """One thread; that of `sender` where the process is sent nothing before it has answered."""

    def ask(self, work: tuple[Task[Result], list[Held], slice]) -> Future[Told[Result]]:
        """Send a window, in its turn, and hear of it.

        Raises:
            SelfHVDError: (in the future) the process ended. Else whatever went wrong there.
        """
        sent = self.sender.submit(self.connection.send, work)
        return self.receiver.submit(self._answer, sent)

    def _answer(self, sent: Future[None]) -> Any:
        try:
            sent.result()
            answer = self.connection.recv()
        except (EOFError, OSError) as fault:
            raise SelfHVDError(
                f"the process on {self.post.compute.device} ended without an answer; run on one device with --device."
            ) from fault
        if isinstance(answer, Failure):
            raise answer.fault from RuntimeError(f"on {self.post.compute.device}: {answer.trace}")
        return answer


def _serve(connection: Connection, post: Post) -> None:
    """The life of a process: restore what comes until nobody asks any more."""
    # Ctrl-C reaches every process of a terminal; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_large_blocks()
    torch.set_num_threads(post.threads)
    engine: Engine | None = None
    try:
        with Ahead(_asked(connection), 1) as asked, Behind(partial(_tell, connection), 1) as answers:
            for task, frames, keep in asked:
                try:
                    engine = engine or _engine(post)
                    answers.put((task(engine, frames, keep), engine.take_events()))
                except Exception as fault:  # told by the first process, which has the terminal
                    answers.put(Failure.of(fault))
    except Exception as fault:  # there was no room for a window
        _tell(connection, Failure.of(fault))


def _tell(connection: Connection, answer: object) -> None:
    try:
        connection.send(answer)
    except OSError:  # the first process ended
        os._exit(1)
    except Exception as fault:  # there was no room to send it
        connection.send(Failure.of(fault))


def _asked(connection: Connection) -> Iterator[tuple[Task[Any], list[Held], slice]]:
    with suppress(EOFError, ConnectionError):  # the first process ended
        while True:
            yield connection.recv()


def _restored(engine: Engine, frames: list[Held], keep: slice) -> Any:
    # Through a pipe as numpy: torch would share memory through files.
    return engine.restore(frames, keep).numpy()


def _engine(post: Post) -> Engine:
    loaded = load_restorer(post.model, post.weights, post.path, post.compute.device)
    return Engine(loaded.restorer, post.plan, post.compute)
