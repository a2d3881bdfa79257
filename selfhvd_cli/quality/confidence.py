"""How far a mean over frames can be trusted: bootstrap intervals that respect that neighbouring frames are alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
COVERAGE = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean and where it would fall with other frames of the same kind."""

    mean: float
    low: float
    high: float
    """Bounds of the 95 % interval; equal to the mean for a single frame."""

    def excludes(self, value: float) -> bool:
        return value < self.low or value > self.high


def bootstrap(values: Sequence[float], seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """Mean and its 95 % interval by the circular block bootstrap (Politis & Romano, 1992).

    Blocks of consecutive frames are drawn instead of single ones, about the cube root of their number long; drawn one
    by one, frames of one second would count as so many independent witnesses.

    Args:
        values: one a frame, in order, finite and at least one.
        seed: the same seed gives the same interval.
    """
    numbers = np.asarray(values, dtype=np.float64)
    count = len(numbers)
    mean = float(numbers.mean())
    if count == 1:
        return Interval(mean, mean, mean)
    length = max(1, round(count ** (1 / 3)))
    generator = np.random.default_rng(seed)
    # Means of all blocks at once: a clip of an hour has 100 000 frames.
    around = np.concatenate((numbers, numbers[: length - 1]))
    sums = np.convolve(around, np.ones(length), mode="valid") / length
    draws = -(-count // length)
    means = np.array([sums[generator.integers(0, count, draws)].mean() for _ in range(resamples)])
    tail = (1 - COVERAGE) / 2
    low, high = np.quantile(means, (tail, 1 - tail))
    return Interval(mean, float(low), float(high))
