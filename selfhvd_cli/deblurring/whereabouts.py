"""Whereabouts: where on this machine interrupted runs keep their segments, noted so that they can be found again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from selfhvd_cli.durable import write_whole
from selfhvd_cli.weights.locate import user_folder


def note(folder: Path) -> None:
    """Remember a folder; one that cannot be noted is still found by looking beside outputs."""
    with suppress(OSError):
        place = _place(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        write_whole(place, json.dumps({"folder": str(folder.absolute())}).encode())


def forget(folder: Path) -> None:
    """The folder is gone, or about to be."""
    with suppress(OSError):
        _place(folder).unlink()


def noted() -> Iterator[Path]:
    """The folders remembered, also those that are not there now: their disk may come back."""
    for place in sorted(_notes().glob("*.json")):
        with suppress(OSError, ValueError, KeyError, TypeError):
            yield Path(json.loads(place.read_text(encoding="utf-8"))["folder"])


def _notes() -> Path:
    return user_folder() / "jobs"


def _place(folder: Path) -> Path:
    return _notes() / f"{hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:16]}.json"
