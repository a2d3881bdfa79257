"""How the threads of one computation wait for each other: briefly awake, then asleep."""

from __future__ import annotations

import os

SPINS = "1000"
"""Turns of the waiting loop before a thread sleeps, some microseconds."""


def wait_asleep() -> None:
    """Keep the threads of GNU OpenMP from burning cores that others need; call it before torch is imported.

    By default they spin for milliseconds, ready for the next operation. Where decoder, encoder or another program
    wants the core, that is the time the others would have needed: on two cores that other programs used as well, a
    window of lite took 2 to 33 s so and 1 to 5 s asleep; on two idle ones 1.09 s and 1.00 s. The processes this
    one starts inherit it.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
