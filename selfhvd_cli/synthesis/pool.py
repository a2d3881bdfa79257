"""A pool of training windows, rendered by other processes and drawn from in a fixed order.

Rendering a window takes about as long as training on it, so each is used several times, flipped and turned
differently; the order depends on the seed alone, not on which process is faster.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from selfhvd_cli.errors import InputFault, SelfHVDError
from selfhvd_cli.pipeline import Ahead
from selfhvd_cli.synthesis.windows import Bytes, Window, draw_window

Batch = tuple[Tensor, Tensor, Tensor, Tensor]
"""Target `[B, 3, H, W]`, sources `[B, K, 3, H, W]`, truth `[B, 3, H, W]` in [0, 1], flows `[B, K, 2, H, W]` in px."""


AHEAD = 8
"""Windows of a process that may wait to be drawn from."""


def read_photos(paths: list[Path]) -> list[Bytes]:
    """8-bit RGB pictures.

    Raises:
        InputFault: a file is no picture, or smaller than 64 pixels a side.
    """
    photos = []
    for path in paths:
        # Not by cv2.imread, which a name that is no text makes crash.
        contents = np.frombuffer(path.read_bytes(), np.uint8)
        picture = cv2.imdecode(contents, cv2.IMREAD_COLOR) if len(contents) else None
        if picture is None or min(picture.shape[:2]) < 64:
            raise InputFault(f"{path}: not a picture of at least 64×64 pixels; take it out of the folder.")
        photos.append(np.ascontiguousarray(picture[:, :, ::-1], dtype=np.uint8))
    return photos


def window_at(photos: list[Bytes], size: int, count: int, seed: int, index: int, ease: float = 0.0) -> Window:
    """The window number `index` of the endless sequence with this seed."""
    return draw_window(photos, size, count, np.random.default_rng((seed, index)), ease)


class WindowPool:
    """Endless batches of windows; use as a context manager, leaving it ends the rendering processes.

    Iterating raises InputFault where a photograph cannot be used, and SelfHVDError where a process has ended.
    """

    def __init__(
        self,
        paths: list[Path],
        *,
        size: int,
        count: int,
        batch: int,
        seed: int,
        workers: int,
        first_step: int = 0,
        reuse: int = 4,
        capacity: int = 256,
    ) -> None:
        self.batch, self.seed, self.step = batch, seed, first_step
        self.fresh = max(1, batch // reuse)
        self.windows: deque[Window] = deque(maxlen=capacity)
        context = multiprocessing.get_context("spawn")
        # What an uninterrupted run would hold at this step is rendered again, so that resuming changes nothing.
        self.next_index = max(0, self._count(first_step) - capacity)
        self._stack = ExitStack()
        self._rendered: list[Iterator[Window]] = []
        self._pipes = [context.Pipe(duplex=False) for _ in range(workers)]
        self.processes = [
            context.Process(
                target=_render,
                args=(sender, paths, size, count, seed, self._first_of(number, workers), workers),
                daemon=True,
            )
            for number, (_, sender) in enumerate(self._pipes)
        ]

    def _first_of(self, worker: int, workers: int) -> int:
        return self.next_index + (worker - self.next_index) % workers

    def __enter__(self) -> WindowPool:
        for process, (receiver, sender) in zip(self.processes, self._pipes, strict=True):
            with _deaf_to_interruptions():
                process.start()
            # With the process its end of the pipe is gone, and who reads at the other learns of it.
            sender.close()
            ahead = self._stack.enter_context(Ahead(_received(receiver, process), AHEAD))
            self._rendered.append(iter(ahead))
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.terminate()
        self._stack.close()
        for process in self.processes:
            process.join()

    def __iter__(self) -> Iterator[Batch]:
        while True:
            while self.next_index < self._count(self.step):
                self.windows.append(self._next_window())
            rng = np.random.default_rng((self.seed, self.step, 1))
            picked = rng.choice(len(self.windows), self.batch, replace=len(self.windows) < self.batch)
            yield to_batch([self.windows[int(i)] for i in picked], rng)
            self.step += 1

    def _count(self, step: int) -> int:
        """Windows that have entered the pool by `step`."""
        return 2 * self.batch + step * self.fresh

    def _next_window(self) -> Window:
        window = next(self._rendered[self.next_index % len(self._rendered)])
        self.next_index += 1
        return window


@contextmanager
def _deaf_to_interruptions() -> Iterator[None]:
    """What starts in here never hears Ctrl-C, which a terminal sends to all processes: this one ends them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # it starts with the first process, and lets interruptions through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _received(receiver: Connection, process: BaseProcess) -> Iterator[Window]:
    """What a process renders; raises what it says or how it ended."""
    with receiver:
        try:
            while True:
                answer = receiver.recv()
                if isinstance(answer, BaseException):
                    raise answer
                yield answer
        except (EOFError, OSError) as fault:
            process.join()
            raise SelfHVDError(_last_words(process.exitcode)) from fault


def _last_words(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        return (
            f"a process that renders windows was ended by signal {-exitcode}, commonly for lack of memory; "
            "use fewer --workers or fewer photographs."
        )
    return (
        f"a process that renders windows ended with {exitcode}; what it says is above. A script that trains must do "
        'so under `if __name__ == "__main__":`, for each process begins by importing it.'
    )


def to_batch(windows: list[Window], rng: np.random.Generator | None = None) -> Batch:
    """Tensors of the windows; with `rng`, each flipped, turned and recoloured at random."""
    parts = [_tensors(window) for window in windows]
    if rng is not None:
        parts = [_turned(part, rng) for part in parts]
    target, sources, sharp, flows = (torch.stack(column) for column in zip(*parts, strict=True))
    return target, sources, sharp, flows


def _tensors(window: Window) -> Batch:
    def picture(data: Bytes) -> Tensor:
        return torch.from_numpy(data).movedim(-1, -3).float() / 255.0

    flows = torch.from_numpy(window.flows.astype(np.float32)).movedim(-1, -3)
    return picture(window.target), picture(window.sources), picture(window.sharp), flows


def _turned(part: Batch, rng: np.random.Generator) -> Batch:
    target, sources, sharp, flows = part
    if rng.random() < 0.5:
        target, sources, sharp, flows = (x.flip(-1) for x in (target, sources, sharp, flows))
        flows = flows * flows.new_tensor([-1.0, 1.0]).view(2, 1, 1)
    if rng.random() < 0.5:
        target, sources, sharp, flows = (x.flip(-2) for x in (target, sources, sharp, flows))
        flows = flows * flows.new_tensor([1.0, -1.0]).view(2, 1, 1)
    if rng.random() < 0.5:
        target, sources, sharp, flows = (x.transpose(-1, -2) for x in (target, sources, sharp, flows))
        flows = flows.flip(-3)
    order = torch.from_numpy(rng.permutation(3))
    return target[order], sources[:, order], sharp[order], flows


def _render(sender: Connection, paths: list[Path], size: int, count: int, seed: int, first: int, stride: int) -> None:
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        photos = read_photos(paths)
    except InputFault as fault:
        sender.send(fault)
        return
    index = first
    try:
        while True:
            sender.send(window_at(photos, size, count, seed, index))
            index += stride
    except BrokenPipeError:  # nobody is left to take it
        return
