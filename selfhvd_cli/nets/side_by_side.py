"""Side by side: several stories that ask for computations, told together so that what is alike is computed at once.

A story is a generator: it yields what it asks for, gets the answer, and returns its result. It reads as if it were
the only one; an accelerator that several stories share is given hardly more commands than for one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Protocol, TypeVar

Result = TypeVar("Result")


class Request(Protocol):
    """What a story asks for."""

    @property
    def kind(self) -> tuple[int, ...]:
        """The same for all that can be answered at once; the smaller the sooner."""


AnyRequest = TypeVar("AnyRequest", bound=Request)

Story = Generator[AnyRequest, Any, Result]


def side_by_side(
    stories: Sequence[Story[AnyRequest, Result]], answer: Callable[[Sequence[AnyRequest]], Sequence[Any]]
) -> list[Result]:
    """The results of all stories.

    Args:
        answer: gives the answers to requests of one kind, in their order.
    """
    results: dict[int, Result] = {}
    asked: dict[int, AnyRequest] = {}

    def go_on(place: int, said: Any) -> None:
        try:
            asked[place] = stories[place].send(said)
        except StopIteration as end:
            results[place] = end.value

    for place in range(len(stories)):
        go_on(place, None)
    while asked:
        first = min(request.kind for request in asked.values())
        alike = sorted(place for place, request in asked.items() if request.kind == first)
        requests = [asked.pop(place) for place in alike]
        for place, said in zip(alike, answer(requests), strict=True):
            go_on(place, said)
    return [results[place] for place in range(len(stories))]
