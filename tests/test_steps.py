"""Long work run through: its result, every report on the way, and an end to it where somebody ends it."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from selfhvd_cli.steps import run_through


def work(left: list[str]) -> Generator[tuple[int, str | None], None, None]:
    try:
        yield 1, None
        yield 2, None
        yield 3, "done"
    finally:
        left.append("given up or over")


def test_the_last_report_s_result_and_every_report() -> None:
    seen: list[int] = []
    found = run_through(work([]), lambda step: step[1], lambda step: seen.append(step[0]))
    assert found == "done"
    assert seen == [1, 2, 3]


def test_whoever_ends_it_in_the_middle_has_it_cleaned_up_at_once() -> None:
    left: list[str] = []

    def stop(step: tuple[int, str | None]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_through(work(left), lambda step: step[1], stop)
    assert left == ["given up or over"]
