"""Speed: frames a second over the last while, and the time the rest will take at that."""

from __future__ import annotations

from collections import deque

MEMORY = 60.0
"""Seconds looked back: enough for several windows of a slow network, short enough to follow a machine that slows."""

WARM_UP = 2.0
"""Seconds after the first frame before a rate is stated; before, it would mostly tell how long loading took."""


class Speed:
    """Fed with a count and the time it was reached; frames come in bursts, so single gaps say little."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, int]] = deque()

    def reach(self, done: int, now: float) -> None:
        """Note that `done` frames were finished at `now`, in seconds of any steady clock.

        Fewer than before are the first of other work, such as the next video of a list.
        """
        if self._points and done < self._points[-1][1]:
            self._points.clear()
        if done == 0 or (self._points and done == self._points[-1][1]):
            return
        self._points.append((now, done))
        while len(self._points) > 2 and now - self._points[1][0] > MEMORY:
            self._points.popleft()

    @property
    def rate(self) -> float | None:
        """Frames a second; None while too little was seen."""
        if len(self._points) < 2 or self._points[-1][0] - self._points[0][0] < WARM_UP:
            return None
        (earlier, few), (later, many) = self._points[0], self._points[-1]
        return (many - few) / (later - earlier)

    def seconds_left(self, done: int, total: int | None) -> float | None:
        """Time for the rest; None while the rate or the total is not known."""
        rate = self.rate
        return None if rate is None or total is None else max(0, total - done) / rate
