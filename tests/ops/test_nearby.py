"""The largest value nearby is that of a square, cut off at the border."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from selfhvd_cli.ops.nearby import highest_within


@pytest.mark.parametrize("reach", [1, 2, 4])
def test_the_highest_of_a_square_as_far_as_it_lies_within(reach: int) -> None:
    maps = torch.randn(2, 3, 13, 21) - 5.0  # nothing beyond the border is higher than what is within
    pooled = F.max_pool2d(maps, 2 * reach + 1, stride=1, padding=reach)
    assert torch.equal(highest_within(maps, reach), pooled)


def test_one_bright_place_is_seen_as_far_as_the_reach() -> None:
    maps = torch.zeros(1, 1, 9, 9)
    maps[..., 4, 4] = 1.0
    seen = highest_within(maps, 2)[0, 0]
    assert seen[2:7, 2:7].eq(1.0).all()
    assert seen.sum() == 25
