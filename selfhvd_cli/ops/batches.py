"""Batches: tensors put together into one, and what is done with some items at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor

Item = TypeVar("Item")


def joined(parts: Sequence[Tensor]) -> Tensor:
    """`[N, ...]` of parts `[n, ...]` one after the other; the part itself where it is the only one."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def some_by_some(items: Sequence[Item], count: int) -> Iterator[Sequence[Item]]:
    """The items in their order, at most `count` at a time."""
    for begin in range(0, len(items), count):
        yield items[begin : begin + count]
