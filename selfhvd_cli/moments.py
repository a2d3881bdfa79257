"""Moments: places and lengths on a clip's time line as people write them, in seconds or in frames."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from selfhvd_cli.errors import UsageFault

_FRAMES = re.compile(r"(\d+)f")
_SECONDS = re.compile(r"(\d+(?:\.\d*)?|\.\d+)s?")
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):([0-5]?\d(?:\.\d*)?)")

LONGEST = 10**9
"""Seconds or frames; beyond it lies no clip, and further on no number that FFmpeg takes."""

LONGEST_TEXT = 100
"""Characters of a time; Python refuses numbers of very many digits."""


@dataclass(frozen=True)
class Moment:
    """A place on a clip's time line, or a length of it: seconds or a count of frames."""

    amount: Fraction
    """How many, never negative."""

    unit: str = "s"
    """`s` for seconds, `f` for frames."""

    def __str__(self) -> str:
        return f"{self.amount}f" if self.unit == "f" else f"{float(self.amount):.15g}s"


def parse_moment(text: str) -> Moment:
    """Read `120` or `120s` (seconds), `120f` (frames), `1:02.5` or `1:00:02.5` (clock).

    Raises:
        UsageFault: the text is none of these, or longer than any clip.
    """
    text = text.strip()
    moment = _read(text) if len(text) <= LONGEST_TEXT else None
    if moment is None:
        raise UsageFault(f'"{text}" is no time; write 5s or 5 (seconds), 120f (frames) or 1:02.5 (minutes:seconds).')
    if moment.amount > LONGEST:
        raise UsageFault(f'"{text}": no clip is that long; write 5s or 5 (seconds), 120f (frames) or 1:02.5.')
    return moment


def as_moment(value: str | float | Moment | None) -> Moment | None:
    """A time as the Python functions take it: seconds, text as `parse_moment` reads it, or a moment.

    Raises:
        UsageFault: the text is no time, or the number is negative, not finite or longer than any clip.
    """
    if value is None or isinstance(value, Moment):
        return value
    if isinstance(value, str):
        return parse_moment(value)
    if not 0 <= value <= LONGEST:
        raise UsageFault(f"{value} is no time; give seconds from 0 on, or text such as 120f or 1:02.5.")
    # To the microsecond: 0.2 as a float lies a little behind the frame at 1/5 s.
    return Moment(Fraction(value).limit_denominator(1_000_000))


def _read(text: str) -> Moment | None:
    if match := _FRAMES.fullmatch(text):
        return Moment(Fraction(match[1]), "f")
    if match := _SECONDS.fullmatch(text):
        return Moment(_decimal(match[1]))
    if match := _CLOCK.fullmatch(text):
        hours, minutes, seconds = match.groups()
        return Moment(Fraction(int(hours or 0) * 3600 + int(minutes) * 60) + _decimal(seconds))
    return None


def _decimal(digits: str) -> Fraction:
    whole, _, part = digits.partition(".")
    return Fraction(int((whole or "0") + part), 10 ** len(part))
