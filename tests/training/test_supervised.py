"""Losses of the embedded network's training."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from selfhvd_cli.nets.lite_alignment import Alignment
from selfhvd_cli.training.supervised import endpoint_error, flow_loss, picture_loss


@pytest.mark.parametrize(("balance", "times"), [(1.0, 1.0), (0.0, 10.0)])
def test_a_sharp_frame_counts_as_much_as_a_blurred_one_or_by_its_error(balance: float, times: float) -> None:
    torch.manual_seed(0)
    truth, error = torch.rand(2, 3, 64, 64), torch.randn(2, 3, 64, 64)
    error[0] *= 0.2  # beyond hope
    error[1] *= 0.02
    recorded = truth + error
    nothing_done = picture_loss(recorded, truth, recorded, balance)
    halves = []
    for frame in range(2):
        better = recorded.clone()
        better[frame] -= error[frame] / 2
        halves.append(float(nothing_done - picture_loss(better, truth, recorded, balance)))
    assert times * halves[1] == pytest.approx(halves[0], rel=0.3)
    assert min(halves) > 0


def test_a_frame_without_error_is_left_alone_without_dividing_by_nothing() -> None:
    truth = torch.rand(1, 3, 64, 64)
    assert float(picture_loss(truth, truth, truth, 1.0)) < float(picture_loss(truth + 0.01, truth, truth, 1.0)) < 1.0


def found(flow: Tensor, error: float = 0.0, log_scale: float = 0.0) -> Alignment:
    """What the network says of a flow `[1, 2, h, w]` in pixels of its grid."""
    return Alignment(flow + error, torch.full_like(flow[:, :1], log_scale))


def test_the_flow_of_every_level_is_compared_in_pixels_of_its_own_grid() -> None:
    truth = torch.full((1, 2, 32, 32), 4.0)
    at_quarter, at_eighth = torch.full((1, 2, 8, 8), 1.0), torch.full((1, 2, 4, 4), 0.5)
    exact = flow_loss([found(at_eighth), found(at_quarter)], truth)
    assert exact < flow_loss([found(at_eighth, 0.5), found(at_quarter)], truth)
    assert exact < flow_loss([found(at_eighth), found(at_quarter, 0.5)], truth)
    # The finest, which restores, counts most.
    assert flow_loss([found(at_eighth, 0.5), found(at_quarter)], truth) < flow_loss(
        [found(at_eighth), found(at_quarter, 0.5)], truth
    )
    assert float(endpoint_error(found(at_quarter), truth)) == pytest.approx(0, abs=1e-5)
    assert float(endpoint_error(found(at_quarter, 0.5), truth)) == pytest.approx(4 * 0.5 * 2**0.5, rel=1e-4)


def test_doubt_pays_where_the_flow_errs_and_nowhere_else() -> None:
    truth, flow = torch.zeros(1, 2, 32, 32), torch.zeros(1, 2, 8, 8)
    doubts = (-2.0, 0.0, 1.0)
    losses = {
        error: [float(flow_loss([found(flow, error / 2**0.5, doubt)], truth)) for doubt in doubts]
        for error in (0.0, 1.0, math.e)
    }
    assert [doubts[each.index(min(each))] for each in losses.values()] == [-2.0, 0.0, 1.0]


def test_what_moves_out_of_the_picture_is_not_asked_for() -> None:
    truth, flow = torch.full((1, 2, 32, 32), 40.0), torch.zeros(1, 2, 8, 8)
    assert float(flow_loss([found(flow)], truth)) == 0
