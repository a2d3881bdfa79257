"""Transfer: pictures to a device and back, and a device kept busy while results are looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor

from selfhvd_cli.pipeline import Ahead

Place = TypeVar("Place")

AHEAD = 2
"""Results computed ahead at most: each takes a picture's memory on the device, and more keep it no busier."""


def to_device(picture: Tensor, device: torch.device) -> Tensor:
    """A picture of main memory on the device. CUDA copies it, from pinned memory, beside the work under way."""
    if device.type != "cuda":
        return picture.to(device)
    # torch keeps the pinned copy until the device has read it.
    return picture.pin_memory().to(device, non_blocking=True)


def to_host(picture: Tensor) -> Tensor:
    """A device's picture in main memory; from CUDA through pinned memory, which takes a fifth of the time."""
    if not picture.is_cuda:
        return picture.cpu()
    landed = torch.empty(picture.shape, dtype=picture.dtype, pin_memory=True)
    landed.copy_(picture, non_blocking=True)
    torch.cuda.current_stream(picture.device).synchronize()
    return landed


@contextmanager
def computed_ahead(
    results: Iterator[tuple[Place, Tensor]], device: torch.device
) -> Iterator[Iterator[tuple[Place, Tensor]]]:
    """The same results; on CUDA made in a thread and a stream of their own, a little ahead of whoever takes them.

    The network's kernels are small and many: what checks one result, waiting for numbers from the device time and
    again, would otherwise leave the device idle.

    Args:
        results: whatever stands for a picture, and the picture, on the device or in main memory.
    """
    if device.type != "cuda":
        yield results
        return
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))  # the weights are there
    with Ahead(_computed(results, device, stream), AHEAD) as ahead:
        yield _taken(ahead, device)


def _computed(
    results: Iterator[tuple[Place, Tensor]], device: torch.device, stream: torch.cuda.Stream
) -> Iterator[tuple[Place, Tensor, torch.cuda.Event]]:
    with torch.cuda.device(device), torch.cuda.stream(stream):
        for place, picture in results:
            finished = torch.cuda.Event()
            finished.record(stream)
            yield place, picture, finished


def _taken(
    results: Ahead[tuple[Place, Tensor, torch.cuda.Event]], device: torch.device
) -> Iterator[tuple[Place, Tensor]]:
    for place, picture, finished in results:
        stream = torch.cuda.current_stream(device)
        stream.wait_event(finished)
        if picture.is_cuda:
            picture.record_stream(stream)  # its memory is not used again before this stream is done with it
        yield place, picture
