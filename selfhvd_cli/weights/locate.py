"""The folders that weights live in; none is created before something is written there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import platformdirs


def store_folder() -> Path:
    """Downloaded and converted weights, which can be fetched again: SELFHVD_WEIGHTS_DIR, else the user's cache."""
    chosen = os.environ.get("SELFHVD_WEIGHTS_DIR")
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("selfhvd", False) / "weights"


def user_folder() -> Path:
    """The user's own work, which is never pruned: SELFHVD_DATA_DIR, else the user's data folder."""
    chosen = os.environ.get("SELFHVD_DATA_DIR")
    return Path(chosen).expanduser() if chosen else platformdirs.user_data_path("selfhvd", False)


def imported_folder() -> Path:
    """Weights that the user brought in by `selfhvd weights import`."""
    return user_folder() / "imported"


def adapted_folder() -> Path:
    """Weights that the user trained on own clips; in folders by the clips' hash where `adapt` chose the place."""
    return user_folder() / "adapted"


def adapted_files(name: str = "*") -> Iterator[Path]:
    """The safetensors files of `adapted_folder`, of all names or of one, in order."""
    for pattern in (f"{name}.safetensors", f"*/{name}.safetensors"):
        yield from sorted(path for path in adapted_folder().glob(pattern) if path.is_file())
