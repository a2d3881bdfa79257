"""Steps: long work that reports as it goes, run through to what it comes to."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from typing import TypeVar

Step = TypeVar("Step")
Result = TypeVar("Result")


def run_through(
    steps: Generator[Step, None, None],
    result: Callable[[Step], Result | None],
    on_progress: Callable[[Step], object] | None = None,
) -> Result:
    """What the last report of some work holds.

    Args:
        steps: the work; closed in any case, so that it gives itself up where `on_progress` ends it.
        result: what a report holds; not None for the last one.
        on_progress: called with every report.
    """
    found: Result | None = None
    with closing(steps):
        for step in steps:
            found = result(step)
            if on_progress is not None:
                on_progress(step)
    assert found is not None, "the last report holds the result"
    return found
