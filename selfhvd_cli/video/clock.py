"""The clock of a picture stream: every picture is shown behind the one before, whatever the source says."""

from __future__ import annotations

from collections.abc import MutableSequence
from dataclasses import dataclass
from fractions import Fraction

LEEWAY = 5
LEAST_LEEWAY = Fraction(1, 2)
"""Frame durations, and seconds, by which a time may be off its place: damaged streams swap pictures.

The seconds are for streams whose nominal frame rate is far too high.
"""


@dataclass(frozen=True)
class Restart:
    """A place where the clock of a source begins anew, as where recordings were joined byte for byte."""

    time: Fraction
    """When the first picture behind it is shown, seconds."""

    moved: Fraction
    """By how much pictures from there on are shown later than the source says, seconds."""


class Clock:
    """Gives pictures, in the order in which they are shown, the ticks at which they are shown; they increase."""

    def __init__(
        self, base: Fraction, first: Fraction, step: Fraction, restarts: MutableSequence[Restart] | None = None
    ) -> None:
        """
        Args:
            base: seconds of a tick.
            first: when a first picture that states no time is shown, seconds.
            step: seconds from a picture to the next, where that is not stated.
            restarts: gets those that are met.
        """
        self._base = base
        self._first = int(first / base)
        self._step = max(1, round(step / base))
        self._leeway = max(LEEWAY * self._step, int(LEAST_LEEWAY / base))
        self._restarts = restarts if restarts is not None else []
        self._moved = self._moved_before = 0
        self._previous: int | None = None
        self._pace = self._step
        """Ticks between the last two pictures."""

    def tick(self, stated: int | None) -> int:
        """When the next picture is shown.

        Args:
            stated: when it is according to the source; None follows its predecessor.
        """
        previous = self._previous
        if previous is None:
            tick = self._first if stated is None else stated
        else:
            tick = previous + self._step if stated is None else max(previous + 1, self._placed(stated, previous))
            self._pace = min(tick - previous, self._leeway)
        self._previous = tick
        return tick

    def _placed(self, stated: int, previous: int) -> int:
        """The tick of a stated time; it lies before the previous one by no more than the leeway."""
        off = abs(stated + self._moved - previous) > self._leeway
        if off and self._restarts and 0 < stated + self._moved_before - previous <= self._leeway:
            # The old clock goes on: one damaged time was no restart.
            self._moved = self._moved_before
            self._restarts.pop()
        elif stated + self._moved < previous - self._leeway:
            self._moved_before, self._moved = self._moved, previous + self._pace - stated
            self._restarts.append(Restart((previous + self._pace) * self._base, self._moved * self._base))
        return stated + self._moved
