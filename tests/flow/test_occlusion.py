"""The masks keep what both pictures show and drop what one hides."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from selfhvd_cli.flow.estimator import Flow
from selfhvd_cli.flow.occlusion import occlusion_mask, uncertainty_mask

SIZE = 48
STEP = 10


def square(left: int) -> Tensor:
    """`[1, 1, H, W]`, bool: a square of 16 pixels whose left side is at `left`."""
    inside = torch.zeros(1, 1, SIZE, SIZE, dtype=torch.bool)
    inside[..., 16:32, left : left + 16] = True
    return inside


def flow_of(where: Tensor, dx: float, confidence: float = 1.0) -> Flow:
    """Everything in `where` moves by dx, the rest stands."""
    vectors = torch.cat((where * dx, where * 0.0), dim=1)
    return Flow(vectors, torch.full_like(vectors[:, :1], confidence))


def test_a_moving_square_hides_what_is_before_it() -> None:
    # The square moves to the right by STEP; background that it will cover has no counterpart.
    there, back = flow_of(square(8), STEP), flow_of(square(8 + STEP), -STEP)
    mask = occlusion_mask(there, back)
    covered = square(8 + STEP) & ~square(8)
    # A column at the square's edge mixes both motions by bilinear sampling.
    assert mask[covered].max() < 0.01
    assert mask[square(8)].min() > 0.99
    assert mask[~covered & ~square(8)].min() > 0.99


def test_what_leaves_the_picture_is_dropped() -> None:
    everything = torch.ones(1, 1, SIZE, SIZE, dtype=torch.bool)
    mask = occlusion_mask(flow_of(everything, STEP), flow_of(everything, -STEP))
    assert (mask[..., SIZE - STEP :] == 0).all()
    assert (mask[..., : SIZE - STEP] == 1).all()


@pytest.mark.parametrize("size", [(24, 40), (40, 24)])
def test_each_side_has_its_own_border(size: tuple[int, int]) -> None:
    vectors = torch.tensor([2.0, 5.0]).view(1, 2, 1, 1).expand(1, 2, *size)
    one = torch.ones(1, 1, *size)
    mask = occlusion_mask(Flow(vectors, one), Flow(-vectors, one))
    inside = torch.zeros_like(mask)
    inside[..., : size[0] - 5, : size[1] - 2] = 1
    assert torch.equal(mask, inside)


@pytest.mark.parametrize("strength", [0.1, 0.5])
def test_strength_is_alpha(strength: float) -> None:
    everything = torch.ones(1, 1, SIZE, SIZE, dtype=torch.bool)
    mask = occlusion_mask(flow_of(everything, 4.0), flow_of(everything, -2.0), strength)
    expected = torch.exp(torch.tensor(-strength * 4.0))
    assert torch.allclose(mask[..., : SIZE - 4], expected.expand(1, 1, SIZE, SIZE - 4))


def test_uncertainties_of_both_ways_add() -> None:
    everything = torch.ones(1, 1, SIZE, SIZE, dtype=torch.bool)
    there, back = flow_of(everything, 3.0, 0.8), flow_of(everything, -3.0, 0.5)
    back.confidence[..., : SIZE // 2] = 1.0
    mask = uncertainty_mask(there, back)
    assert torch.allclose(mask[..., : SIZE // 2 - 3], torch.tensor(0.8))
    assert torch.allclose(mask[..., SIZE // 2 - 3 :], torch.tensor(0.4))


def test_a_flow_of_uneven_parts_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[B, 2, H, W\]"):
        Flow(torch.zeros(1, 2, 8, 8), torch.ones(1, 1, 8, 9))
