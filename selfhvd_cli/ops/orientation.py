"""Turns stored pictures upright, as a display matrix asks players to; for people's eyes, never for a clip."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def upright(picture: Tensor, matrix: Sequence[int] | None) -> Tensor:
    """The picture as it is to be shown.

    Args:
        picture: `[..., H, W]`, in stored orientation.
        matrix: nine integers in FFmpeg's layout (x' = a·x + c·y, y' = b·x + d·y), or None for one that is upright.

    Returns:
        `[..., H, W]` or `[..., W, H]`: turned by the nearest quarter and mirrored where the matrix mirrors.
    """
    if matrix is None:
        return picture
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    if on_its_side(matrix):
        picture = picture.transpose(-1, -2)
        a, d = c, b
    flipped = [axis for axis, sign in ((-1, a), (-2, d)) if sign < 0]
    return picture.flip(flipped) if flipped else picture


def on_its_side(matrix: Sequence[int] | None) -> bool:
    """Whether a stored picture has to be turned by a quarter, which swaps width and height."""
    if matrix is None:
        return False
    return abs(matrix[1]) + abs(matrix[3]) > abs(matrix[0]) + abs(matrix[4])
