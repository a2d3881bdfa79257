"""Losses of the embedded network's training."""

from __future__ import annotations

import pytest
import torch

from selfhvd_cli.training.supervised import picture_loss


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
