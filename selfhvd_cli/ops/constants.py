"""Constants: rows of numbers that a device is sent once; to send them takes it longer than to compute with them."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

KEPT = 1024
"""Rows remembered: the sizes of a pyramid in every shape of tile are a few dozen."""


@lru_cache(KEPT)
def numbers(values: tuple[float, ...], device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """These numbers, `[N]`; whoever gets them shares them, and must not change them."""
    # Made in inference mode they could not serve a training later.
    with torch.inference_mode(False):
        return _arrived(torch.tensor(values, dtype=dtype, device=device))


@lru_cache(KEPT)
def spaced(first: float, last: float, count: int, device: torch.device) -> Tensor:
    """`count` numbers from `first` to `last` at equal distances, `[N]`, float32; shared as those of `numbers`."""
    with torch.inference_mode(False):
        return _arrived(torch.linspace(first, last, count, device=device))


def _arrived(row: Tensor) -> Tensor:
    """The row once it is there: another stream of CUDA than the one that made it may be the next to read it."""
    if row.is_cuda:
        torch.cuda.current_stream(row.device).synchronize()
    return row
