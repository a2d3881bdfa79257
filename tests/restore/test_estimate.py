"""Estimates of time: what they count, on a network whose cost is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny_clips import SHARPEN

from selfhvd_cli.device import Compute
from selfhvd_cli.restore import estimate
from selfhvd_cli.restore.estimate import seconds_a_frame
from selfhvd_cli.restore.plan import Plan

CPU = Compute(torch.device("cpu"), torch.float32, "as asked")


@pytest.fixture
def one_second_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock on which every call of the network takes one second."""
    ticks = iter(range(100))
    monkeypatch.setattr(estimate.time, "perf_counter", lambda: float(next(ticks)))


def seconds(plan: Plan, height: int, width: int) -> float:
    return seconds_a_frame(SHARPEN.restorer(), SHARPEN, plan, CPU, height, width)


@pytest.mark.usefixtures("one_second_calls")
def test_small_frames_are_tried_as_they_are() -> None:
    assert seconds(Plan(window=4), 64, 80) == pytest.approx(1 / 4)


@pytest.mark.usefixtures("one_second_calls")
def test_large_frames_are_reckoned_by_their_pixels() -> None:
    assert seconds(Plan(window=4), 1024, 512) == pytest.approx(8 / 4)


@pytest.mark.usefixtures("one_second_calls")
def test_overlaps_of_windows_and_tiles_are_computed_twice() -> None:
    assert seconds(Plan(window=4, overlap=2), 64, 80) == pytest.approx(2 / 4)
    tiled = Plan(window=4, tile=256, tile_overlap=64)
    assert seconds(tiled, 256, 448) == pytest.approx(2 / 4)  # two tiles for 1.75 tiles' worth of picture


@pytest.mark.usefixtures("one_second_calls")
def test_long_windows_are_tried_in_part() -> None:
    assert seconds(Plan(window=32), 64, 80) == pytest.approx(1 / estimate.PROBE_FRAMES)


@pytest.mark.usefixtures("one_second_calls")
def test_a_network_that_selects_frames_computes_each_once() -> None:
    row = replace(SHARPEN, convention=replace(SHARPEN.convention, selects_frames=True))

    class Selecting(torch.nn.Module):
        def forward(self, frames: torch.Tensor, keep: slice) -> torch.Tensor:
            return frames[:, keep]

    restorer = row.restorer(Selecting())
    assert seconds_a_frame(restorer, row, Plan(window=8, overlap=6), CPU, 64, 80) == pytest.approx(1 / 4)
