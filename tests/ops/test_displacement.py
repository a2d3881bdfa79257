"""Displacement measures where things are, not how sharp they are."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.ops.displacement import displacement
from selfhvd_cli.ops.warp import warp


def between(one: Tensor, two: Tensor) -> float:
    """Away from the edges, where a warp has nothing to show."""
    return displacement(one[..., 8:-8, 8:-8], two[..., 8:-8, 8:-8]).item()


def picture() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(1, 3, 24, 30, generator=generator)
    return F.interpolate(noise, size=(144, 180), mode="bicubic", align_corners=False).clamp(0, 1)


@pytest.mark.parametrize("distance", [0.1, 0.5, 1.0])
def test_known_shifts_are_measured(distance: float) -> None:
    flow = torch.zeros(1, 2, 144, 180)
    flow[:, 0], flow[:, 1] = 0.6 * distance, 0.8 * distance
    moved = warp(picture(), flow)
    assert between(moved, picture()) == pytest.approx(distance, rel=0.1, abs=0.02)


def test_opposite_movements_do_not_cancel_out() -> None:
    flow = torch.zeros(1, 2, 144, 180)
    flow[:, 0, :, :90], flow[:, 0, :, 90:] = 0.5, -0.5
    assert between(warp(picture(), flow), picture()) > 0.35


def test_blur_is_no_movement() -> None:
    soft = F.avg_pool2d(F.pad(picture(), (2, 2, 2, 2), mode="replicate"), 5, stride=1)
    assert between(soft, picture()) < 0.03


def test_nothing_to_see_is_nothing_moved() -> None:
    assert displacement(torch.full((2, 3, 64, 64), 0.5), torch.full((2, 3, 64, 64), 0.6)).tolist() == [0.0, 0.0]
