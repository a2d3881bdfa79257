"""DIS finds small and large motion exactly, on the pictures of a phone at night too."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.flow.dis import DisEstimator, global_similarity
from selfhvd_cli.ops.warp import warp

HEIGHT, WIDTH = 120, 160
MARGIN = 60


def scene(seed: int = 0) -> Tensor:
    """A texture with detail at several sizes, `[1, 3, H, W]`, larger than the picture by a margin all around."""
    noise = torch.Generator().manual_seed(seed)
    size = (HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN)
    layers = [
        F.interpolate(torch.rand(1, 3, size[0] // n, size[1] // n, generator=noise), size, mode="bicubic")
        for n in (3, 8, 24)
    ]
    return (sum(layers) / 3).clamp(0, 1)


def moved_pair(dx: float, dy: float, degrees: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """Source, target and the exact flow between them, for a shift after a turn about the picture's middle."""
    big = scene()
    target = big[..., MARGIN:-MARGIN, MARGIN:-MARGIN]
    y, x = torch.meshgrid(torch.arange(HEIGHT).float(), torch.arange(WIDTH).float(), indexing="ij")
    x, y = x - WIDTH / 2, y - HEIGHT / 2
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    flow = torch.stack((cos * x - sin * y + dx - x, sin * x + cos * y + dy - y)).unsqueeze(0)
    everywhere = F.pad(flow, (MARGIN,) * 4, mode="replicate")
    source = warp(big, everywhere, mode="bicubic")[..., MARGIN:-MARGIN, MARGIN:-MARGIN].clamp(0, 1)
    return source, target, flow


def endpoint_error(found: Tensor, exact: Tensor) -> float:
    """Mean distance in pixels over what stays inside the picture."""
    y, x = torch.meshgrid(torch.arange(HEIGHT).float(), torch.arange(WIDTH).float(), indexing="ij")
    to_x, to_y = x + exact[0, 0], y + exact[0, 1]
    inside = (to_x >= 4) & (to_x < WIDTH - 4) & (to_y >= 4) & (to_y < HEIGHT - 4)
    return (found - exact).norm(dim=1)[0][inside].mean().item()


@pytest.mark.parametrize("motion", [(1.5, -0.75, 0.0), (4.0, 3.0, 1.0)])
@pytest.mark.parametrize("global_motion", [False, True])
def test_small_motion(motion: tuple[float, float, float], global_motion: bool) -> None:
    source, target, exact = moved_pair(*motion)
    found = DisEstimator(global_motion)(source, target)
    assert endpoint_error(found.vectors, exact) < 0.25
    assert (found.confidence == 1).all()


def test_global_motion_reaches_what_dis_does_not() -> None:
    source, target, exact = moved_pair(43.0, -30.0, 4.0)
    assert endpoint_error(DisEstimator(True)(source, target).vectors, exact) < 0.5
    assert endpoint_error(DisEstimator(False)(source, target).vectors, exact) > 5.0


def test_a_motion_found_in_a_smaller_picture_is_that_of_the_large_one() -> None:
    noise = torch.Generator().manual_seed(1)
    coarse = torch.rand(1, 3, 60, 90, generator=noise)
    picture = F.interpolate(coarse, (480, 720), mode="bicubic").clamp(0, 1)[0].mean(0)
    codes = (picture * 255).round().byte().numpy()
    turned = cv2.warpAffine(codes, cv2.getRotationMatrix2D((200.0, 120.0), 6.0, 1.0), (720, 480))
    found = global_similarity(codes, turned)
    exact = cv2.getRotationMatrix2D((200.0, 120.0), 6.0, 1.0)
    for place in ((100, 60, 1), (400, 300, 1), (600, 420, 1)):
        assert np.hypot(*((found - exact) @ np.array(place))) < 0.5


def test_a_dark_picture_is_as_good() -> None:
    source, target, exact = moved_pair(2.0, 1.0)
    found = DisEstimator()(0.02 + source / 25, 0.02 + target / 25)
    assert endpoint_error(found.vectors, exact) < 0.4


def test_batches_sizes_and_repeats() -> None:
    source, target, _ = moved_pair(3.0, 1.0)
    batch = torch.cat((source, target)), torch.cat((target, source))
    both = DisEstimator()(*batch)
    assert torch.equal(both.vectors[:1], DisEstimator()(source, target).vectors)
    assert torch.equal(both.vectors, DisEstimator()(*batch).vectors)
    tiny = torch.rand(2, 3, 17, 23)
    assert DisEstimator()(tiny, tiny).vectors.abs().max() < 0.5


def test_a_flat_picture_does_not_move() -> None:
    flat = torch.full((1, 3, 40, 50), 0.5)
    assert DisEstimator()(flat, flat).vectors.abs().max() == 0
