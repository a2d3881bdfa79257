"""Copied streams keep pace with pictures whose clock begins anew: their packets are moved as far as the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from av.packet import Packet

from selfhvd_cli.video.clock import LEAST_LEEWAY, Restart

PATIENCE = Fraction(2)
"""Seconds of pictures waited for a restart; where they have none there, a packet's time is damaged."""


class Pace:
    """Follows the restarts of the pictures in other streams, each at the place where its own times begin anew."""

    def __init__(self, restarts: Sequence[Restart]) -> None:
        """
        Args:
            restarts: those of the pictures, of which more may come while they are read.
        """
        self._restarts = restarts
        self._passed: dict[int, int] = {}
        self._reached: dict[int, Fraction] = {}
        self._waiting_since: Fraction | None = None

    def keeps(self, index: int) -> bool:
        """Whether a stream has come through every restart of the pictures."""
        return self._passed.get(index, 0) == len(self._restarts)

    def place(self, packet: Packet, time: Fraction | None) -> bool:
        """Move the times of the next packet; False where the pictures have to be read further first.

        Args:
            time: how far they are written, seconds; None where all are.
        """
        stamp, index = packet.dts if packet.dts is not None else packet.pts, packet.stream_index
        if stamp is None:
            return True
        stated = stamp * packet.time_base
        reached = self._reached.get(index, stated)
        passed = min(self._passed.get(index, 0), len(self._restarts))  # the pictures take back what was none
        if stated < reached - LEAST_LEEWAY:
            if passed < len(self._restarts):
                passed += 1
            elif self._waits(time):
                return False
        elif stated > reached + LEAST_LEEWAY and self._old_clock_goes_on(passed, stated - reached):
            passed -= 1
        self._waiting_since = None
        self._reached[index], self._passed[index] = stated, passed
        moved = round(self._moved(passed) / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts + moved
        packet.dts = None if packet.dts is None else packet.dts + moved
        return True

    def _old_clock_goes_on(self, passed: int, leap: Fraction) -> bool:
        """Whether a leap leads back to the clock before the last restart, which then was damaged times only."""
        return passed > 0 and abs(self._moved(passed - 1) + leap - self._moved(passed)) <= LEAST_LEEWAY

    def _moved(self, passed: int) -> Fraction:
        """By how much packets are moved behind that many restarts, seconds."""
        return self._restarts[passed - 1].moved if passed else Fraction(0)

    def _waits(self, time: Fraction | None) -> bool:
        if time is None:
            return False
        if self._waiting_since is None:
            self._waiting_since = time
        return time - self._waiting_since <= PATIENCE
