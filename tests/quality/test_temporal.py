"""Warping error: motion does not count, flicker does, and neither does what is hidden."""

from __future__ import annotations

import torch
from made_clips import texture
from torch import Tensor

from selfhvd_cli.quality.temporal import warping_error


def picture(seed: int = 0) -> Tensor:
    return torch.from_numpy(texture(80, 64, seed)).permute(2, 0, 1).float() / 255


def moving(dx: float):  # type: ignore[no-untyped-def]
    """A flow function that knows the truth: everything moves by dx there, by -dx back."""
    signs = iter((1.0, -1.0))

    def flow(source: Tensor, target: Tensor) -> Tensor:
        vectors = torch.zeros(1, 2, *source.shape[-2:])
        vectors[:, 0] = dx * next(signs)
        return vectors

    return flow


def test_pure_motion_is_stable_and_flicker_is_not() -> None:
    wide = picture()
    here, there = wide[:, :, 3:67], wide[:, :, :64]
    assert warping_error(here, there, moving(3.0)) < 1e-3
    brighter = (there + 10 / 255).clamp(0, 1)
    assert 8 < warping_error(here, brighter, moving(3.0)) <= 10.01
    assert warping_error(here, there, moving(0.0)) > 5, "without the motion the frames differ"


def test_hidden_places_are_left_out() -> None:
    one, other = picture(0), picture(0)
    other[:, 20:40, 20:40] = 1.0

    def inconsistent_there(source: Tensor, target: Tensor) -> Tensor:
        vectors = torch.zeros(1, 2, *source.shape[-2:])
        vectors[:, :, 15:45, 15:45] = 4.0  # there and back again does not return here
        return vectors

    assert warping_error(one, other, inconsistent_there) < 0.2


def test_large_frames_are_measured_smaller() -> None:
    seen = []

    def flow(source: Tensor, target: Tensor) -> Tensor:
        seen.append(tuple(source.shape[-2:]))
        return torch.zeros(1, 2, *source.shape[-2:])

    frame = torch.zeros(3, 60, 1920)
    assert warping_error(frame, frame, flow) == 0.0
    assert seen == [(30, 960), (30, 960)]
