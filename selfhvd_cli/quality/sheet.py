"""The worst, median and best frame of a clip, for people to judge by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

RANKS = ("worst", "median", "best")


def telling_frames(scores: Sequence[float]) -> Mapping[str, int]:
    """Numbers of the frames with the lowest, the middle and the highest score; fewer for one or two frames."""
    order = sorted(range(len(scores)), key=lambda index: scores[index])
    picks = {"worst": order[0], "median": order[len(order) // 2], "best": order[-1]}
    return {rank: index for rank, index in picks.items() if index not in list(picks.values())[: RANKS.index(rank)]}
