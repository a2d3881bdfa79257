"""Training checkpoints: whole on disk or not at all, loaded without running code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from selfhvd_cli.durable import put_in_place
from selfhvd_cli.errors import DiskFault, InputFault


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors and plain values) beside `path` and rename it into place.

    Raises:
        DiskFault: the folder cannot be written or is full.
    """
    part = path.with_name(path.name + ".part")
    try:
        torch.save(state, part)
        put_in_place(part, path)
    except (OSError, RuntimeError) as fault:
        part.unlink(missing_ok=True)
        raise DiskFault(f"{path}: checkpoint not written ({fault}); free some space and resume.") from fault


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The state saved by `save_checkpoint`, on the CPU.

    Raises:
        InputFault: the file is damaged or holds more than tensors and plain values.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as fault:  # torch raises many kinds here, all meaning "not a checkpoint of ours"
        raise InputFault(f"{path}: not a readable checkpoint ({fault}); delete it to start afresh.") from fault
    if not isinstance(state, dict):
        raise InputFault(f"{path}: no checkpoint of selfhvd, it holds a {type(state).__name__}; name others with -o.")
    return state
