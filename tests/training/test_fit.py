"""Sizes shrink until they fit the memory; what the user named stays."""

from __future__ import annotations

import pytest
import torch

from selfhvd_cli.device import Compute
from selfhvd_cli.errors import MemoryFault
from selfhvd_cli.restore.architectures import ARCHITECTURES
from selfhvd_cli.training.fit import Sizes, fit_sizes

CPU = Compute(torch.device("cpu"), torch.float32, "test")
ROW = ARCHITECTURES["ifirnn"]
RESTORER = ROW.restorer()


def sizes(memory: int, **named: int) -> Sizes:
    return fit_sizes(RESTORER, ROW, CPU, memory, 3, **named)


def test_plenty_of_memory_gives_what_is_wanted() -> None:
    assert sizes(1 << 40) == Sizes(192, 9, 2)


def test_little_memory_recomputes_first_then_shrinks() -> None:
    found = [sizes(memory << 20) for memory in (4000, 400, 90)]
    assert found[1].checkpoint_activations
    volumes = [each.crop**2 * each.sequence * each.batch for each in found]
    assert volumes == sorted(volumes, reverse=True)
    assert volumes[2] < volumes[0]
    assert not RESTORER.network.checkpoint_activations


def test_named_sizes_stay_or_the_run_ends_with_what_to_do() -> None:
    assert sizes(300 << 20, crop=96).crop == 96
    with pytest.raises(MemoryFault, match="--crop"):
        sizes(50 << 20, crop=512, sequence=30, batch=8)
