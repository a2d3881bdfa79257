"""The masked losses see what the mask lets through, and nothing of its size."""

from __future__ import annotations

import pytest
import torch

from selfhvd_cli.errors import WeightsFault
from selfhvd_cli.training.losses import perceptual_loss, reconstruction_loss
from selfhvd_cli.training.perceptual import Perceptual


def test_masked_pixels_do_not_count_and_the_masks_mass_is_divided_out() -> None:
    target = torch.rand(1, 3, 16, 16)
    output = target + 0.1
    output[..., 8:] += 5.0
    mask = torch.ones(1, 1, 16, 16)
    mask[..., 8:] = 0.0
    assert reconstruction_loss(output, target, mask).item() == pytest.approx(0.1, rel=1e-4)
    assert reconstruction_loss(output, target, 0.5 * mask).item() == pytest.approx(0.1, rel=1e-4)


def test_a_picture_masked_all_over_teaches_nothing() -> None:
    output = torch.rand(2, 3, 16, 16, requires_grad=True)
    mask = torch.zeros(2, 1, 16, 16)
    mask[1] = 1.0
    losses = reconstruction_loss(output, torch.rand(2, 3, 16, 16), mask)
    losses.sum().backward()
    assert losses[0] == 0
    assert losses[1] > 0
    assert output.grad is not None
    assert output.grad[0].abs().max() == 0


def test_a_few_unmasked_pixels_do_not_shout() -> None:
    target = torch.zeros(1, 3, 64, 64)
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., :2, :2] = 1.0
    assert reconstruction_loss(target + 1.0, target, mask).item() < 0.05


def test_features_differ_where_pictures_do_and_only_under_the_mask() -> None:
    torch.manual_seed(0)
    network = Perceptual()
    picture = torch.rand(1, 3, 64, 64)
    other = picture.clone()
    other[..., 32:] = torch.rand(1, 3, 64, 32)
    everywhere, left = torch.ones(1, 1, 64, 64), torch.ones(1, 1, 64, 64)
    left[..., 32:] = 0.0
    assert perceptual_loss(network, picture, picture, everywhere).item() == 0
    assert perceptual_loss(network, other, picture, everywhere).item() > 0
    assert perceptual_loss(network, other, picture, left).item() == 0


def test_parameters_of_another_network_are_refused() -> None:
    with pytest.raises(WeightsFault, match="weights pull vgg19"):
        Perceptual({"features.0.weight": torch.zeros(64, 3, 3, 3)})
