"""EXIF's orientation of a picture as the display matrix of a video."""

from __future__ import annotations

ONE, W = 1 << 16, 1 << 30

_TURNS: dict[int, tuple[int, int, int, int]] = {
    2: (-1, 0, 0, 1),
    3: (-1, 0, 0, -1),
    4: (1, 0, 0, -1),
    5: (0, 1, 1, 0),
    6: (0, 1, -1, 0),
    7: (0, -1, -1, 0),
    8: (0, -1, 1, 0),
}
"""a, b, c, d of x' = a·x + c·y, y' = b·x + d·y, by the number that EXIF 2.3 gives in its table 6."""


def display_matrix(orientation: int) -> tuple[int, ...] | None:
    """Nine integers in FFmpeg's layout; None for a picture that is upright."""
    if orientation not in _TURNS:
        return None
    a, b, c, d = (ONE * each for each in _TURNS[orientation])
    return (a, b, 0, c, d, 0, 0, 0, W)
