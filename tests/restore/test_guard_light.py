"""Guard: a restoration keeps its brightness, lamps may lose their trails, and grain comes back as far as needed."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from guard_pictures import judged, kept, leaves, moved, noisy, psnr, shaken
from torch import Tensor


@pytest.mark.parametrize("length", [1, 9])
def test_colour_and_brightness_stay_while_sharpness_comes_through(length: int) -> None:
    sharp = leaves(11)
    frame = shaken(sharp, length, 11)
    result, _ = judged(frame, sharp + torch.tensor([0.05, 0.0, -0.03]).view(3, 1, 1))
    # Blur leaves the light as it is, not the mean of code values: of a restoration that is somewhere between.
    means = torch.stack([frame.mean((1, 2)), sharp.mean((1, 2))])
    assert (result.mean((1, 2)) >= means.amin(0) - 1 / 255).all()
    assert (result.mean((1, 2)) <= means.amax(0) + 1 / 255).all()
    if length > 1:
        assert psnr(result, sharp) > psnr(frame, sharp) + 6


@pytest.mark.parametrize("length", [5, 13])
def test_a_true_restoration_keeps_its_own_brightness(length: int) -> None:
    sharp = leaves(11)
    frame = shaken(sharp, length, 11)
    result, _ = judged(frame, sharp)
    asked, given = (picture.mean() - frame.mean() for picture in (sharp, result))
    assert asked < -1 / 255, "it has the same light, and a lower mean"
    assert 0.5 * asked > given > 1.1 * asked


def lamps(seed: int) -> tuple[Tensor, Tensor]:
    """A sharp picture with lamps far brighter than white, and a frame in which their light left long trails."""
    light = leaves(seed).pow(2.2) * 0.5
    for place in range(6):
        row, column = 25 + 32 * place, 30 + 37 * ((place * 4) % 6)
        light[:, row : row + 9, column : column + 9] = 6.0
    kernel = torch.eye(11).flip(0).view(1, 1, 11, 11) / 11
    trails = F.conv2d(F.pad(light.unsqueeze(1), (5,) * 4, mode="reflect"), kernel).squeeze(1)
    return light.clamp(0, 1).pow(1 / 2.2), noisy(trails.clamp(0, 1).pow(1 / 2.2), seed)


@pytest.mark.parametrize("seed", [15, 16])
def test_trails_of_lamps_brighter_than_white_may_go(seed: int) -> None:
    sharp, frame = lamps(seed)
    result, verdict = judged(frame, sharp)
    assert kept(frame, sharp, result) > 0.75
    assert psnr(result, sharp) > psnr(frame, sharp) + 8
    assert verdict.held_back < 0.2


def test_beside_lamps_a_wrong_part_is_held_back() -> None:
    sharp, frame = lamps(15)
    restored = sharp.clone()
    restored[:, 60:130, 80:170] = leaves(50)[:, 60:130, 80:170]
    result, _ = judged(frame, restored)
    inside = (slice(None), slice(70, 120), slice(90, 160))
    assert (result - frame)[inside].abs().mean() < 0.3 * (restored - frame)[inside].abs().mean()


def test_grain_that_is_needed_is_no_more_than_that() -> None:
    """Of a noisy frame whose noise is gone: what comes back for its sharpness is little beside what went away."""
    sharp = leaves(14)
    frame = noisy(sharp, 14, sigma=8.0)
    result, verdict = judged(frame, sharp)
    assert verdict.sharpness_before is not None
    assert verdict.sharpness_after is not None
    assert verdict.sharpness_after <= 1.02 * verdict.sharpness_before
    assert psnr(result, sharp) > psnr(frame, sharp) + 1.5


@pytest.mark.parametrize("length", [5, 9, 13])
def test_other_colours_everywhere_leave_the_frame_as_it_was(length: int) -> None:
    sharp = leaves(21)
    _, verdict = judged(shaken(sharp, length, 21), sharp + torch.tensor([0.2, 0.0, -0.2]).view(3, 1, 1))
    assert verdict.strength == 0
    assert verdict.reason == "colours changed"


@pytest.mark.parametrize("gain", [0.06, 0.12])
@pytest.mark.parametrize("length", [1, 7])
def test_at_night_a_true_restoration_passes_and_a_wrong_one_does_not(gain: float, length: int) -> None:
    """As by day: in light, all differences within a dark picture are small."""
    sharp = leaves(33) * gain
    frame = shaken(sharp, length, 33)
    result, _ = judged(frame, sharp)
    assert kept(frame, sharp, result) > 0.6
    half = sharp.clone()
    half[..., 130:] = sharp.flip(-1)[..., 130:]
    for wrong in (moved(sharp, 3.0), half, leaves(99) * gain):
        _, verdict = judged(frame, wrong)
        assert verdict.strength == 0
