"""Padding to a network's sizes and back."""

from __future__ import annotations

import pytest
import torch

from selfhvd_cli.ops.padding import pad_size


@pytest.mark.parametrize("where", ["end", "around"])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 9), (8, 16), (5, 40)])
def test_sizes_are_met_and_cropping_gives_the_picture_back(where: str, height: int, width: int) -> None:
    images = torch.rand(2, 3, 3, height, width)
    padded, padding = pad_size(images, multiple_of=8, min_size=16, where=where)  # type: ignore[arg-type]
    assert padded.shape[:-2] == images.shape[:-2]
    assert all(size % 8 == 0 and size >= 16 for size in padded.shape[-2:])
    assert torch.equal(padding.crop(padded), images)
    doubled = padded.repeat_interleave(2, -1).repeat_interleave(2, -2)
    assert torch.equal(padding.crop(doubled, scale=2)[..., ::2, ::2], images)


def test_edge_pixels_are_repeated() -> None:
    row = torch.tensor([[[1.0, 2.0, 3.0]]])
    assert pad_size(row, 6, where="around")[0][0, 2].tolist() == [1, 1, 2, 3, 3, 3]
    assert pad_size(row, 6)[0][0, 5].tolist() == [1, 2, 3, 3, 3, 3]


def test_fitting_pictures_are_not_copied() -> None:
    images = torch.rand(1, 3, 8, 16)
    assert pad_size(images, 8)[0] is images
