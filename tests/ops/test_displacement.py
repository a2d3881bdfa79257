"""Displacement measures where things are, not how sharp they are."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.ops.displacement import displacement
from selfhvd_cli.ops.warp import warp

HEIGHT, WIDTH = 288, 360


def between(one: Tensor, two: Tensor) -> float:
    """Away from the edges, where a warp has nothing to show."""
    return displacement(one[..., 8:-8, 8:-8], two[..., 8:-8, 8:-8]).item()


def picture() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(1, 3, 48, 60, generator=generator)
    return F.interpolate(noise, size=(HEIGHT, WIDTH), mode="bicubic", align_corners=False).clamp(0, 1)


def moved(image: Tensor, dx: float, dy: float) -> Tensor:
    """The picture, mirrored at its edges, sampled (dx, dy) farther on: exact, as no interpolation is."""
    whole = torch.cat((image, image.flip(-1)), -1)
    whole = torch.cat((whole, whole.flip(-2)), -2)
    x = torch.fft.rfftfreq(whole.shape[-1])
    y = torch.fft.fftfreq(whole.shape[-2]).unsqueeze(1)
    turned = torch.fft.rfft2(whole) * torch.exp(2j * torch.pi * (x * dx + y * dy))
    return torch.fft.irfft2(turned, s=whole.shape[-2:])[..., :HEIGHT, :WIDTH].clamp(0, 1)


def shaken(image: Tensor, length: int) -> Tensor:
    """Blurred sideways, as a camera does: in linear light, evenly to both sides."""
    light = F.pad(image**2.2, (length // 2, length // 2, 0, 0), mode="replicate")
    return F.avg_pool2d(light, (1, length), stride=1) ** (1 / 2.2)


@pytest.mark.parametrize("distance", [0.0, 0.05, 0.1, 0.3, 1.0, 2.0])
def test_known_shifts_are_measured(distance: float) -> None:
    there = moved(picture(), 0.6 * distance, 0.8 * distance)
    assert between(there, picture()) == pytest.approx(distance, rel=0.1, abs=0.005)


@pytest.mark.parametrize("distance", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("length", [3, 7, 11])
def test_blur_is_no_movement(distance: float, length: int) -> None:
    there = shaken(moved(picture(), 0.6 * distance, 0.8 * distance), length)
    assert between(there, picture()) == pytest.approx(distance, rel=0.1, abs=0.05)


def test_noise_is_no_movement() -> None:
    noise = torch.randn(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))
    assert between(picture() + 0.03 * noise, picture()) < 0.03


def test_opposite_movements_do_not_cancel_out() -> None:
    flow = torch.zeros(1, 2, HEIGHT, WIDTH)
    flow[:, 0, :, : WIDTH // 2], flow[:, 0, :, WIDTH // 2 :] = 0.5, -0.5
    assert between(warp(picture(), flow), picture()) > 0.35


def test_nothing_to_see_is_nothing_moved() -> None:
    assert displacement(torch.full((2, 3, 64, 64), 0.5), torch.full((2, 3, 64, 64), 0.6)).tolist() == [0.0, 0.0]
