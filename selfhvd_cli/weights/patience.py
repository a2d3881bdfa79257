"""How long to bear with a server: number of tries, waits between them, silence allowed."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass(frozen=True)
class Patience:
    """Limits of one pull. A try that brought new bytes does not count against `tries`."""

    tries: int = 6
    """Tries in a row without a new byte before giving up."""

    first_wait: float = 1.0
    """Seconds before the second try; every further wait doubles."""

    longest_wait: float = 30.0
    """Seconds that a wait grows to."""

    silence: float = 30.0
    """Seconds without a byte after which a connection counts as dead."""

    longest_retry_after: float = 300.0
    """Seconds a server may ask us to wait (`Retry-After`); beyond that we give up and say so."""

    def wait(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row, jittered so that many clients do not march in step."""
        return min(self.longest_wait, self.first_wait * 2.0 ** (failures - 1)) * random.uniform(0.75, 1.25)


DEFAULT = Patience()


def retry_after(value: str | None, date: str | None = None) -> float | None:
    """Seconds that a `Retry-After` header asks for, given as seconds or as a date; None without a usable one.

    Args:
        date: the answer's `Date` header, the time by the server's clock; ours may be hours off.
    """
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - _time_there(date)).total_seconds())
    except (TypeError, ValueError):
        return None


def _time_there(date: str | None) -> datetime:
    with suppress(TypeError, ValueError):
        return parsedate_to_datetime(date or "")
    return datetime.now(UTC)
