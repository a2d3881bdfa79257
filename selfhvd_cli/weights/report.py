"""What a pull tells while it works."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Phase = Literal["waiting", "downloading", "retrying", "checking", "converting", "done"]


@dataclass(frozen=True)
class PullReport:
    """One moment of a pull; the last one has phase `done` and the file's path."""

    name: str
    """What is being pulled."""

    phase: Phase
    """What is going on."""

    done: int = 0
    """Bytes here already, those of earlier, interrupted pulls included."""

    total: int | None = None
    """Bytes in all, where the server says."""

    note: str = ""
    """Why a retry waits, whom the store trusts, what conversion left out."""

    path: Path | None = None
    """The usable file, with phase `done`."""
