"""Labels from far away are brought to where the crop's content is."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from training_stand_ins import SearchEstimator, make_shot, shaken_frames

from selfhvd_cli.flow.estimator import Flow
from selfhvd_cli.training.approach import Approach


def test_a_far_label_shows_the_same_part_of_the_scene() -> None:
    _, sharp = shaken_frames(step=5)
    shot = make_shot(sharp)
    approach = Approach(SearchEstimator(reach=24), torch.device("cpu"))
    # Four frames later the scene has moved 20 columns to the left.
    assert approach.shift(shot, 4, 8, 0, 20, 64) == (0, -20)
    near = approach.crop_near(shot, 4, 8, 0, 20, 64)
    assert (near - shot.crop(4, 0, 20, 64)).abs().mean() < 0.01
    assert (shot.crop(8, 0, 20, 64) - shot.crop(4, 0, 20, 64)).abs().mean() > 0.05


def test_a_large_frame_is_compared_small_and_its_motion_is_that_of_the_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selfhvd_cli.training.approach.SIDE", 36)
    _, sharp = shaken_frames(step=5)
    assert Approach(SearchEstimator(reach=12), torch.device("cpu")).shift(make_shot(sharp), 4, 8, 0, 20, 64) == (
        0,
        -20,
    )


def test_of_a_frame_that_moves_unevenly_the_crops_own_motion_counts() -> None:
    def by_quarters(source: Tensor, target: Tensor) -> Flow:
        vectors = torch.zeros(1, 2, 72, 88)
        vectors[:, 0, :, 44:] = 6.0
        vectors[:, 1, 36:] = -3.0
        return Flow(vectors, torch.ones(1, 1, 72, 88))

    shot = make_shot(shaken_frames()[0])
    approach = Approach(by_quarters, torch.device("cpu"))
    corners = {(0, 0): (0, 0), (0, 64): (0, 6), (48, 0): (-3, 0), (48, 64): (-3, 6)}
    for (top, left), moved in corners.items():
        assert approach.shift(shot, 5, 4, top, left, 24) == moved


def test_at_the_border_the_crop_stays_inside() -> None:
    _, sharp = shaken_frames(step=5)
    shot = make_shot(sharp)
    approach = Approach(SearchEstimator(reach=24), torch.device("cpu"))
    assert approach.crop_near(shot, 4, 8, 0, 2, 64).shape == (3, 64, 64)


def test_a_frame_is_near_itself() -> None:
    frames, _ = shaken_frames()
    shot = make_shot(frames)

    def never(source: torch.Tensor, target: torch.Tensor) -> None:
        raise AssertionError("no flow is needed")

    assert Approach(never, torch.device("cpu")).shift(shot, 4, 4, 0, 0, 64) == (0, 0)  # type: ignore[arg-type]
