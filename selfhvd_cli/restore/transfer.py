"""Transfer: a device kept busy while results are looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

import torch
from torch import Tensor

from selfhvd_cli.pipeline import Ahead, LastingThread

Place = TypeVar("Place")

Batch = Sequence[tuple[Place, Tensor | None]]

AHEAD = 1
"""Batches that wait, computed ahead, beside the one under way: each takes its pictures' memory on the device."""


@contextmanager
def computed_ahead(batches: Iterator[Batch[Place]], device: torch.device) -> Iterator[Iterator[Batch[Place]]]:
    """The same batches; on CUDA made in a thread and a stream of their own, a little ahead of whoever takes them.

    The network's kernels are small and many: what checks one result, waiting for numbers from the device time and
    again, would otherwise leave the device idle.

    Args:
        batches: of whatever stands for a picture, and the picture, on the device or in main memory, if there is one.
    """
    if device.type != "cuda":
        yield batches
        return
    stream, thread = beside(device)
    stream.wait_stream(torch.cuda.current_stream(device))  # the weights are there
    with Ahead(_computed(batches, device, stream), AHEAD, thread) as ahead:
        yield _taken(ahead, device)


@cache
def beside(device: torch.device) -> tuple[torch.cuda.Stream, LastingThread]:
    """A stream and a thread for a network's work, the same for every window, scene and clip of this process.

    torch keeps memory that was freed for the stream that had it, and cuDNN its plans for the thread that made them:
    new ones each time would leave a network's memory behind each time, and plan all its convolutions anew.
    """
    return torch.cuda.Stream(device), LastingThread(f"network on {device}")


def _computed(
    batches: Iterator[Batch[Place]], device: torch.device, stream: torch.cuda.Stream
) -> Iterator[tuple[Batch[Place], torch.cuda.Event]]:
    with torch.cuda.device(device), torch.cuda.stream(stream):
        for batch in batches:
            finished = torch.cuda.Event()
            finished.record(stream)
            yield batch, finished


def _taken(results: Ahead[tuple[Batch[Place], torch.cuda.Event]], device: torch.device) -> Iterator[Batch[Place]]:
    for batch, finished in results:
        stream = torch.cuda.current_stream(device)
        stream.wait_event(finished)
        for _, picture in batch:
            if picture is not None and picture.is_cuda:
                picture.record_stream(stream)  # its memory is not used again before this stream is done with it
        yield batch
