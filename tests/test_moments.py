"""How people write times, and what is refused."""

from __future__ import annotations

from fractions import Fraction

import pytest

from selfhvd_cli.errors import UsageFault
from selfhvd_cli.moments import Moment, as_moment, parse_moment


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", Fraction(120)),
        ("5s", Fraction(5)),
        ("0.1", Fraction(1, 10)),
        (".5s", Fraction(1, 2)),
        ("1:02.5", Fraction(125, 2)),
        ("90:00", Fraction(5400)),
        ("1:00:02.25", Fraction(14409, 4)),
        (" 7 ", Fraction(7)),
    ],
)
def test_seconds_are_exact(text: str, seconds: Fraction) -> None:
    assert parse_moment(text) == Moment(seconds, "s")


def test_words_are_exact_too() -> None:
    assert [str(parse_moment(text)) for text in ("5", "2:46:40.52", "1000000", "7f")] == [
        "5s", "10000.52s", "1000000s", "7f"
    ]  # fmt: skip


def test_frames() -> None:
    assert parse_moment("120f") == Moment(Fraction(120), "f")


@pytest.mark.parametrize("text", ["", "-5", "5x", "1:75", "1:2:3:4", "f", "1.5f", "1e3", ".", "0x10"])
def test_what_is_no_time_is_refused_with_the_ways_to_write_one(text: str) -> None:
    with pytest.raises(UsageFault, match=r"120f"):
        parse_moment(text)


@pytest.mark.parametrize(
    ("value", "moment"), [(2, Moment(Fraction(2))), (0.2, Moment(Fraction(1, 5))), ("7f", Moment(Fraction(7), "f"))]
)
def test_python_gives_seconds_or_text(value: float | str, moment: Moment) -> None:
    assert as_moment(value) == moment


@pytest.mark.parametrize("value", [-1, -0.5, float("nan"), float("inf"), float("-inf"), "-1"])
def test_what_python_gives_is_refused_as_what_people_write(value: float | str) -> None:
    with pytest.raises(UsageFault, match=r"is no time; .*120f"):
        as_moment(value)
