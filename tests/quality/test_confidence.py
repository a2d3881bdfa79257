"""Bootstrap intervals: cover the truth as often as they say, also where neighbouring frames are alike."""

from __future__ import annotations

import numpy as np
import pytest

from selfhvd_cli.quality.confidence import bootstrap


def test_the_interval_holds_the_true_mean_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(150):
        interval = bootstrap(generator.normal(10, 3, 100).tolist(), resamples=400)
        held += interval.low <= 10 <= interval.high
    assert 0.86 <= held / 150 <= 0.99


def test_frames_that_are_alike_count_for_less() -> None:
    steps = np.random.default_rng(1).normal(0, 1, 40)
    alone = bootstrap(steps.tolist())
    held = bootstrap(np.repeat(steps, 6).tolist())
    once = bootstrap(np.random.default_rng(1).permutation(np.repeat(steps, 6)).tolist())
    assert held.high - held.low > 1.5 * (once.high - once.low)
    assert held.mean == pytest.approx(alone.mean)


def test_same_seed_same_interval_and_single_frames() -> None:
    values = np.random.default_rng(2).normal(0, 1, 30).tolist()
    assert bootstrap(values, seed=4) == bootstrap(values, seed=4)
    assert bootstrap(values, seed=4) != bootstrap(values, seed=5)
    only = bootstrap([3.0])
    assert (only.low, only.mean, only.high) == (3.0, 3.0, 3.0)
    assert not only.excludes(3.0)
