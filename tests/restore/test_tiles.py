"""Tiles: no seam, no gap, nothing a network could not take."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from restore_stand_ins import LocalBlur, texture
from torch import Tensor

from selfhvd_cli.restore.tiles import Area, restore_tiled, seam_weights, tile_spans


@pytest.mark.parametrize("size", [50, 64, 65, 97, 200, 333])
@pytest.mark.parametrize("multiple", [1, 4, 8])
def test_spans_cover_all_and_share_enough(size: int, multiple: int) -> None:
    spans = tile_spans(size, 64, 24, multiple)
    assert spans[0][0] == 0
    assert spans[-1][1] == size
    assert all(start % multiple == 0 for start, _ in spans)
    assert all(stop - start <= 64 + multiple - 1 for start, stop in spans)
    for (_, stop), (start, _) in pairwise(spans):
        assert stop - start >= 24


@pytest.mark.parametrize(("height", "width"), [(70, 131), (64, 200), (129, 65), (40, 40)])
def test_identity_is_exact(height: int, width: int) -> None:
    frames = texture(2, height, width)
    assert torch.equal(restore_tiled(lambda area: area.of(frames) * 1.0, height, width, 64, 24, 4), frames)


@pytest.mark.parametrize("radius", [1, 4, 8])
def test_a_local_network_gives_the_same_with_and_without_tiles(radius: int) -> None:
    frames = texture(1, 150, 210)
    blur = LocalBlur(radius)

    def run(area: Area) -> Tensor:
        return blur(area.of(frames).unsqueeze(0))[0]

    tiled = restore_tiled(run, 150, 210, 80, 3 * radius, 8)
    torch.testing.assert_close(tiled, run(Area(0, 150, 0, 210)), atol=1e-5, rtol=0)


def test_seams_of_a_network_that_differs_from_tile_to_tile_are_soft() -> None:
    levels = iter(torch.linspace(0.0, 1.0, 100))
    frames = torch.zeros(1, 3, 64, 300)
    tiled = restore_tiled(lambda area: torch.full_like(area.of(frames), float(next(levels))), 64, 300, 96, 48)
    assert tiled.diff(dim=-1).abs().max() < 0.002
    assert tiled.max() > 0.03


def test_weights_of_both_sides_sum_to_one() -> None:
    weights = torch.tensor(seam_weights(30))
    torch.testing.assert_close(weights + weights.flip(0), torch.ones(30))


def test_an_overlap_as_large_as_the_tile_is_refused() -> None:
    with pytest.raises(ValueError, match="overlap"):
        tile_spans(100, 32, 32)
