"""The rate and the time left, as a person watching would reckon them."""

from __future__ import annotations

import pytest

from selfhvd_cli.deblurring.speed import MEMORY, Speed


def test_nothing_is_said_before_something_was_measured() -> None:
    speed = Speed()
    assert speed.rate is None
    speed.reach(0, 0.0)
    speed.reach(1, 50.0)
    speed.reach(2, 50.1)
    assert speed.seconds_left(2, 100) is None


def test_the_wait_for_the_first_frame_does_not_count() -> None:
    speed = Speed()
    for frame in range(1, 40):
        speed.reach(frame, 50.0 + frame / 4)
    assert speed.rate == pytest.approx(4.0)
    assert speed.seconds_left(39, 100) == pytest.approx(61 / 4)
    assert speed.seconds_left(39, None) is None
    assert speed.seconds_left(39, 30) == 0


def test_a_machine_that_slows_is_followed() -> None:
    speed = Speed()
    now = 0.0
    for frame in range(1, 1000):
        now += 0.1 if frame < 500 else 1.0
        speed.reach(frame, now)
    assert speed.rate == pytest.approx(1.0, rel=0.05)
    assert len(speed._points) <= MEMORY + 3


def test_a_count_that_begins_again_is_measured_anew() -> None:
    speed = Speed()
    for frame in range(1, 6):
        speed.reach(frame, float(frame))
    for frame in range(1, 6):
        speed.reach(frame, 10.0 + frame / 2)
        left = speed.seconds_left(frame, 5)
        assert left is None or left >= 0
    assert speed.rate == pytest.approx(2.0)


def test_bursts_are_evened_out() -> None:
    speed = Speed()
    for burst in range(20):
        for frame in range(6):
            speed.reach(6 * burst + frame + 1, 3.0 * burst + 0.01 * frame)
    assert speed.rate == pytest.approx(2.0, rel=0.1)
