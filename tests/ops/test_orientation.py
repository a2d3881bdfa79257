"""Upright pictures: the eight ways a phone can be held, by the definition of the display matrix."""

from __future__ import annotations

import pytest
import torch

from selfhvd_cli.ops.orientation import upright

ONE = 0x10000


UPRIGHT_WAYS = [(1, 0, 0, 1), (-1, 0, 0, 1), (1, 0, 0, -1), (-1, 0, 0, -1)]
TURNED_WAYS = [(0, 1, 1, 0), (0, 1, -1, 0), (0, -1, 1, 0), (0, -1, -1, 0)]


@pytest.mark.parametrize("signs", UPRIGHT_WAYS + TURNED_WAYS)
def test_every_pixel_goes_where_the_matrix_sends_it(signs: tuple[int, int, int, int]) -> None:
    a, b, c, d = signs
    stored = torch.arange(6.0).view(1, 2, 3)
    shown = upright(stored, (a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 0x40000000))
    corners = [(a * x + c * y, b * x + d * y) for x in range(3) for y in range(2)]
    left, top = min(x for x, _ in corners), min(y for _, y in corners)
    for x in range(3):
        for y in range(2):
            assert shown[0, b * x + d * y - top, a * x + c * y - left] == stored[0, y, x]


def test_no_matrix_is_upright() -> None:
    picture = torch.rand(3, 4, 5)
    assert upright(picture, None) is picture
