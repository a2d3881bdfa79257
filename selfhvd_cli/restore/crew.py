"""Crew: one network in several processes, each on its own device, which share the windows of a clip."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.multiprocessing import get_context

from selfhvd_cli.device import Compute
from selfhvd_cli.errors import SelfHVDError
from selfhvd_cli.heap import keep_large_blocks
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

    def __init__(self, posts: Sequence[Post]) -> None:
        self._posts = posts
        self._stack = ExitStack()
        self._members: list[tuple[Connection, ThreadPoolExecutor]] = []
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
            # A thread a process sends and receives: a pipe that is full both ways would never move again.
            hand = ThreadPoolExecutor(1, thread_name_prefix=str(post.compute.device))
            self._stack.callback(hand.shutdown, wait=False, cancel_futures=True)
            self._members.append((ours, hand))
        return self

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
        for place, (pictures, events) in self._in_turns(work, _restored):
            yield place, (torch.from_numpy(pictures), events)

    def judge(self, work: Iterable[tuple[Place, list[Held], slice]]) -> Iterator[tuple[Place, Told[list[Outcome]]]]:
        """The same, judged as well: of a network that remembers frames, whose pictures are final.

        What the guard has to do is shared, and of a frame of planes its codes come back, an eighth of its RGB.
        """
        return self._in_turns(work, restore_and_judge)

    def _in_turns(
        self, work: Iterable[tuple[Place, list[Held], slice]], task: Task[Result]
    ) -> Iterator[tuple[Place, Told[Result]]]:
        under_way: deque[tuple[Place, Future[Told[Result]]]] = deque()
        for place, frames, keep in work:
            if len(under_way) > len(self._members):
                yield self._oldest(under_way)
            connection, hand = self._members[self._turn]
            post = self._posts[self._turn]
            self._turn = (self._turn + 1) % len(self._members)
            under_way.append((place, hand.submit(_ask, connection, post, task, frames, keep)))
        while under_way:
            yield self._oldest(under_way)

    @staticmethod
    def _oldest(under_way: deque[tuple[Place, Future[Result]]]) -> tuple[Place, Result]:
        place, future = under_way.popleft()
        return place, future.result()


def _ask(connection: Connection, post: Post, task: Task[Result], frames: list[Held], keep: slice) -> Told[Result]:
    """Send a window to a process and wait for it."""
    try:
        connection.send((task, frames, keep))
        answer = connection.recv()
    except (EOFError, OSError) as fault:
        raise SelfHVDError(
            f"the process on {post.compute.device} ended without an answer; run on one device with --device."
        ) from fault
    if isinstance(answer, BaseException):
        raise answer
    told: Told[Result] = answer
    return told


def _serve(connection: Connection, post: Post) -> None:
    """The life of a process: restore what comes until nobody asks any more."""
    # Ctrl-C reaches every process of a terminal; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_large_blocks()
    torch.set_num_threads(post.threads)
    engine: Engine | None = None
    with suppress(EOFError, ConnectionError):  # the first process ended
        while True:
            task, frames, keep = connection.recv()
            answer: object
            try:
                engine = engine or _engine(post)
                answer = (task(engine, frames, keep), engine.take_events())
            except SelfHVDError as fault:
                answer = type(fault)(fault.format_message())
            except Exception as fault:  # told by the first process, which has the terminal
                answer = SelfHVDError(f"on {post.compute.device}: {type(fault).__name__}: {fault}")
            connection.send(answer)


def _restored(engine: Engine, frames: list[Held], keep: slice) -> Any:
    # Through a pipe as numpy: torch would share memory through files.
    return engine.restore(frames, keep).numpy()


def _engine(post: Post) -> Engine:
    loaded = load_restorer(post.model, post.weights, post.path, post.compute.device)
    return Engine(loaded.restorer, post.plan, post.compute)
