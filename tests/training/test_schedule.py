"""The rate rises to its peak, then falls by a cosine to its floor."""

from __future__ import annotations

import pytest

from selfhvd_cli.training.schedule import learning_rate


def test_it_rises_evenly_and_falls_by_a_cosine_to_the_floor() -> None:
    rates = [learning_rate(step, 104, 1e-4, warmup=4, floor=1e-6) for step in range(105)]
    assert rates[:5] == pytest.approx([0.25e-4, 0.5e-4, 0.75e-4, 1e-4, 1e-4])
    assert rates[54] == pytest.approx(0.5 * (1e-4 + 1e-6))
    assert rates[29] == pytest.approx(1e-6 + (1e-4 - 1e-6) * (0.5 + 0.125**0.5))
    assert rates[104] == pytest.approx(1e-6)
    assert learning_rate(500, 104, 1e-4, floor=1e-6) == pytest.approx(1e-6)
    assert learning_rate(0, 104, 1e-4) == 1e-4
