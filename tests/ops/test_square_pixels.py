"""Square pixels: the stretch that players give a picture, and none where what is claimed makes no sense."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from selfhvd_cli.ops.square_pixels import with_square_pixels


@pytest.mark.parametrize(
    "aspect", [None, Fraction(1), Fraction(1, 65535), Fraction(9000, 1), Fraction(0), Fraction(-2)]
)
def test_what_needs_or_allows_no_stretch_stays_as_it_is(aspect: Fraction | None) -> None:
    picture = torch.rand(3, 8, 10)
    assert with_square_pixels(picture, aspect) is picture


@pytest.mark.parametrize(("aspect", "size"), [(Fraction(3, 2), (8, 15)), (Fraction(4, 5), (10, 10))])
def test_a_ramp_stays_a_ramp(aspect: Fraction, size: tuple[int, int]) -> None:
    ramp = (
        torch.linspace(0, 1, 10).expand(3, 8, 10) if aspect > 1 else torch.linspace(0, 1, 8)[:, None].expand(3, 8, 10)
    )
    shown = with_square_pixels(ramp, aspect)
    assert shown.shape == (3, *size)
    assert 0 <= shown.min() <= shown.max() <= 1
    line = shown[0, 3] if aspect > 1 else shown[0, :, 3]
    steps = line.diff()
    assert steps.min() > 0
    assert steps[3:-3].std() < 0.01
