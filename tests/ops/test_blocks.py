"""Means over blocks and enlarged maps are those of torch's pooling and interpolation."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from selfhvd_cli.ops.blocks import block_means, enlarged, half_size


@pytest.mark.parametrize("side", [2, 4, 8])
@pytest.mark.parametrize(("height", "width"), [(16, 24), (17, 24), (16, 27)])
def test_block_means_are_those_of_pooling_with_cut_blocks(side: int, height: int, width: int) -> None:
    picture = torch.rand(2, 3, height, width)
    assert torch.allclose(block_means(picture, side), F.avg_pool2d(picture, side, ceil_mode=True), atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(8, 12), (9, 13)])
def test_half_size_is_the_mean_of_four_pixels(height: int, width: int) -> None:
    picture = torch.rand(2, 3, height, width)
    assert torch.allclose(half_size(picture), F.avg_pool2d(picture, 2), atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("factor", [2, 8, 32])
def test_an_enlarged_map_is_bilinear_and_cut_to_size(channels: int, factor: int) -> None:
    coarse = torch.rand(1, channels, 5, 7)
    size = torch.Size((5 * factor - 1, 7 * factor))
    expected = F.interpolate(coarse, scale_factor=factor, mode="bilinear", align_corners=False)[..., :-1, :]
    assert torch.allclose(enlarged(coarse, factor, size), expected, atol=1e-5)
