"""Stories told together: each gets its own answers, what is alike is answered at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from selfhvd_cli.nets.side_by_side import Story, side_by_side


@dataclass(frozen=True)
class Doubling:
    """Asks for twice a number."""

    number: int
    size: int

    @property
    def kind(self) -> tuple[int, ...]:
        return (self.size,)


def told(numbers: Sequence[int], answered: list[list[int]], fault: int | None = None) -> list[str]:
    """The results of a story for each number; `answered` gets the numbers that were answered together."""

    def story(number: int) -> Story[Doubling, str]:
        twice = yield Doubling(number, size=0)
        if number % 2:
            twice = yield Doubling(twice, size=1)
        last = yield Doubling(twice, size=2)
        return f"{number}: {last}"

    def answer(requests: Sequence[Doubling]) -> list[int]:
        assert len({request.kind for request in requests}) == 1
        answered.append([request.number for request in requests])
        if fault in answered[-1]:
            raise MemoryError(f"no room for {fault}")
        return [2 * request.number for request in requests]

    return side_by_side([story(number) for number in numbers], answer)


def test_every_story_gets_its_own_answers_and_what_is_alike_comes_at_once() -> None:
    answered: list[list[int]] = []
    assert told([1, 2, 3, 4], answered) == ["1: 8", "2: 8", "3: 24", "4: 16"]
    # Those that skip the middle wait at the end for those that do not.
    assert answered == [[1, 2, 3, 4], [2, 6], [4, 4, 12, 8]]


def test_one_story_alone_and_none() -> None:
    assert told([3], []) == ["3: 24"]
    assert told([], []) == []


def test_what_fails_in_an_answer_is_told() -> None:
    with pytest.raises(MemoryError, match="no room for 6"):
        told([1, 2, 3], [], fault=6)
