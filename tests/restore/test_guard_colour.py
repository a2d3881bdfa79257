"""The guard and colours: what grey pictures do not show never makes a frame worse."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from guard_pictures import leaves, psnr, shaken
from torch import Tensor

from selfhvd_cli.ops.sharpness import gray
from selfhvd_cli.restore.guard import guard


def differences(picture: Tensor) -> Tensor:
    return picture - gray(picture)


def colour_noise(sharp: Tensor) -> Tensor:
    noise = torch.randn(sharp.shape, generator=torch.Generator().manual_seed(5)) * 25 / 255
    return sharp + differences(noise)


def blue_beside(sharp: Tensor) -> Tensor:
    return torch.cat((sharp[:2], sharp[2:].roll(2, -1)))


def fringes(sharp: Tensor) -> Tensor:
    light = gray(sharp)
    edges = light - F.avg_pool2d(light.unsqueeze(0), 9, 1, 4)[0]
    return sharp + differences(torch.cat((edges, torch.zeros_like(edges), -edges)))


def chequered(sharp: Tensor) -> Tensor:
    rows, columns = torch.arange(sharp.shape[1]) // 4 % 2, torch.arange(sharp.shape[2]) // 4 % 2
    board = (rows.view(1, -1, 1) ^ columns.view(1, 1, -1)) * 2.0 - 1.0
    return sharp + differences(torch.cat((board, torch.zeros_like(board), -board))) * 20 / 255


@cache
def scene(seed: int) -> tuple[Tensor, Tensor]:
    """A sharp picture in colours as most things have them, and a frame of it blurred by seven pixels."""
    bright = leaves(seed)
    sharp = torch.lerp(gray(bright).expand_as(bright), bright, 0.4)
    return sharp, shaken(sharp, 7, seed)


@pytest.mark.parametrize("spoil", [colour_noise, blue_beside, fringes, chequered])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_wrong_colours_of_the_right_light_make_no_frame_worse(spoil: Callable[[Tensor], Tensor], seed: int) -> None:
    sharp, blurry = scene(seed)
    wrong = spoil(sharp).clamp(0, 1)
    colours, recorded = differences(sharp), differences(blurry)
    assert psnr(differences(wrong), colours) < psnr(recorded, colours), "it has worse colours than the frame"
    assert (gray(wrong) - gray(sharp)).abs().mean() < 4 / 255, "and in grey it is the truth"
    result, _ = guard(blurry, wrong)
    assert psnr(result, sharp) >= psnr(blurry, sharp) - 0.1


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_colours_that_sharpen_with_the_light_pass(seed: int) -> None:
    sharp, blurry = scene(seed)
    result, _ = guard(blurry, sharp)
    assert psnr(differences(result), differences(sharp)) > psnr(differences(blurry), differences(sharp)) + 10


def test_between_colours_of_one_brightness_edges_come_through() -> None:
    """Signs, flowers and clothes: what sharpens there is hardly seen in grey."""
    sharp = torch.full((3, 144, 192), 0.5) + differences(leaves(4, 144, 192) - 0.5) * 0.5
    sharp += 0.15 * (gray(leaves(5, 144, 192)) - 0.5)
    blurry = shaken(sharp.clamp(0, 1), 7)
    result, _ = guard(blurry, sharp)
    assert psnr(differences(result), differences(sharp)) > psnr(differences(blurry), differences(sharp)) + 0.5
