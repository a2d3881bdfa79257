"""The sharp frames of a clip, Ω and ψ of the paper: Otsu's threshold over all frames, then segment by segment."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

SEGMENT = 20
"""Frames of a segment. The paper's table: 5, 10, 20, 30 frames choose 71.0, 88.5, 96.8, 98.3 % rightly and end at
37.33, 37.36, 37.44, 37.03 dB."""

REACH = 20
"""Frames to either side within which a frame's sharpest neighbour tells how much there is to be seen."""


@dataclass(frozen=True)
class SharpFrames:
    """Which frames of one clip are its sharp ones."""

    scores: tuple[float, ...]
    """S(I) of every frame, higher is sharper; see `ops.sharpness`."""

    threshold: float
    """Otsu's, on `judged`: a frame above it is sharp."""

    indices: tuple[int, ...]
    """Ω: the chosen frames, ascending; never empty, for a segment without a sharp frame gives its sharpest."""

    segment: int = SEGMENT
    """Frames of a segment."""

    @cached_property
    def judged(self) -> tuple[float, ...]:
        """What the threshold splits, see `fair_scores`; the scores themselves where the scene stays as rich."""
        return fair_scores(self.scores)

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def above(self) -> tuple[int, ...]:
        """The frames above the threshold, without those that only stand in for a segment."""
        return tuple(index for index, score in enumerate(self.judged) if score > self.threshold)

    @property
    def separation(self) -> float:
        """Share of the judged scores' variance that the threshold explains, in [0, 1]: Otsu's measure of goodness.

        Near 1 the clip has sharp and blurred frames and nothing between; one even spread gives 0.75. 0 where all
        frames score alike.
        """
        low = [score for score in self.judged if score <= self.threshold]
        high = [score for score in self.judged if score > self.threshold]
        spread = _squares(self.judged)
        return 1.0 - (_squares(low) + _squares(high)) / spread if spread > 0 else 0.0

    def nearest(self, frame: int) -> int:
        """ψ(frame): the chosen frame closest in time, the sharper one of two that are equally close.

        Raises:
            IndexError: the clip has no such frame.
        """
        if not 0 <= frame < len(self.scores):
            raise IndexError(f"frame {frame} of a clip of {len(self.scores)} frames")
        place = bisect_left(self.indices, frame)
        around = self.indices[max(0, place - 1) : place + 1]
        return min(around, key=lambda index: (abs(index - frame), -self.scores[index]))

    def segments(self) -> Iterator[range]:
        """The clip's segments in order; the last one may be shorter."""
        return _segments(len(self.scores), self.segment)


def find_sharp_frames(scores: Sequence[float], segment: int = SEGMENT) -> SharpFrames:
    """Choose the sharp frames of one clip (paper, section 3.2).

    Args:
        scores: S(I) of every frame, at least one, for instance `ops.sharpness.sharpness(frames).tolist()`.
        segment: frames of a segment.

    Raises:
        ValueError: no scores, a score that is not finite, or a segment below one frame.
    """
    values = tuple(float(score) for score in scores)
    if not values or not all(math.isfinite(value) for value in values):
        raise ValueError(f"expected finite scores of at least one frame, got {len(values)} scores")
    if segment < 1:
        raise ValueError(f"a segment has at least one frame, got {segment}")
    judged = fair_scores(values)
    threshold = otsu_threshold(judged)
    chosen: list[int] = []
    for part in _segments(len(values), segment):
        sharp = [index for index in part if judged[index] > threshold]
        chosen += sharp or [max(part, key=lambda index: values[index])]
    return SharpFrames(values, threshold, tuple(chosen), segment)


def fair_scores(scores: Sequence[float]) -> tuple[float, ...]:
    """Scores that allow for what there is to be seen: S_i · √(S_max / L_i), L_i the largest within `REACH` frames.

    Not in the paper, which splits S itself. S depends on the scene as much as on blur, and the view wanders: a
    sharp frame of a plain wall scores below a blurred one of foliage. Full division by L_i would call the best
    frame of every blurred stretch sharp; the root, halfway between, measured best (`tests/benchmarks/adapt.py`, d).
    """
    around = [max(scores[max(0, i - REACH) : i + REACH + 1]) for i in range(len(scores))]
    most = max(scores)
    return tuple(s * math.sqrt(most / near) if near > 0 else s for s, near in zip(scores, around, strict=True))


def otsu_threshold(scores: Sequence[float]) -> float:
    """The value that splits the scores into two classes of the largest variance between them (Otsu 1979).

    All splits of the sorted scores are tried, the limit of the histogram for ever finer bins, for a clip has too few
    frames for a smooth histogram. The threshold lies midway between the two classes; of equal scores it is the score
    itself, so that none lies above it.
    """
    ordered = sorted(scores)
    count, total = len(ordered), math.fsum(ordered)
    below, best, threshold = 0.0, -1.0, ordered[-1]
    for size, (last, first) in enumerate(pairwise(ordered), start=1):
        below += last
        if first == last:
            continue
        gap = below / size - (total - below) / (count - size)
        between = size * (count - size) * gap * gap
        if between > best:
            middle = last + (first - last) / 2
            best, threshold = between, middle if middle < first else last  # between neighbouring floats there is none
    return threshold


def _segments(count: int, length: int) -> Iterator[range]:
    for start in range(0, count, length):
        yield range(start, min(start + length, count))


def _squares(values: Sequence[float]) -> float:
    """Sum of squared distances from the mean."""
    if not values:
        return 0.0
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values)
