"""Whether a pretraining may go on from a checkpoint: same config, photographs and first parameters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from selfhvd_cli.errors import InputFault, UsageFault
from selfhvd_cli.training.checkpoint import load_checkpoint
from selfhvd_cli.training.origin import Origin
from selfhvd_cli.training.pretrain_config import PretrainConfig

KEPT = {"config", "network", "average", "optimizer", "step"}
"""What every checkpoint holds; early ones know no `origin`."""


def checkpoint_of(
    checkpoint: Path, config: PretrainConfig, origin: Origin, afresh: bool = False
) -> dict[str, Any] | None:
    """What a training goes on from; None where there is no checkpoint.

    Args:
        afresh: whether a checkpoint of another training counts as none.

    Raises:
        InputFault: the checkpoint cannot be read, or is of another training.
    """
    if not checkpoint.exists():
        return None
    saved = load_checkpoint(checkpoint)
    differs = _difference(saved, config, origin)
    if not differs:
        return saved
    if afresh:
        return None
    raise InputFault(
        f"{checkpoint}: {differs}; repeat what it was made with (--steps and --rate may differ), name other weights "
        "with -o, or start afresh with --overwrite."
    )


def _difference(saved: dict[str, Any], config: PretrainConfig, origin: Origin) -> str:
    """Why a checkpoint is not of this training, in words; empty where it is."""
    try:
        before = PretrainConfig(**saved["config"]) if saved.keys() >= KEPT else None
    except (TypeError, UsageFault):
        before = None
    if before is None:
        return "is no checkpoint of selfhvd pretrain"
    if replace(before, steps=config.steps, rate=config.rate) != config:
        return f"was made with {before}, this run asks for {config}"
    began = saved.get("origin")
    if began is None:
        return ""
    names = {"photographs": "photographs", "start": "weights of --init"}
    others = [words for name, words in names.items() if began.get(name) != getattr(origin, name)]
    return f"was made with other {' and other '.join(others)}" if others else ""
