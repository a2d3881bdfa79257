"""What an adaptation leaves behind: the weights with their provenance, and the log."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from torch import Tensor

from selfhvd_cli import __version__
from selfhvd_cli.adaptation.job import ClipReport
from selfhvd_cli.adaptation.networks import Networks
from selfhvd_cli.durable import lock
from selfhvd_cli.errors import UsageFault
from selfhvd_cli.training.config import AdaptConfig
from selfhvd_cli.training.holdout import Standing
from selfhvd_cli.training.trainer import StepReport
from selfhvd_cli.weights.save import save_state_dict


def save_weights(
    path: Path,
    values: Mapping[str, Tensor],
    networks: Networks,
    model: str,
    config: AdaptConfig,
    clips: Sequence[ClipReport],
    figures: Mapping[str, Any],
) -> None:
    """Safetensors that `deblur --weights` takes, and how they came about in the header."""
    metadata = {
        "architecture": model,
        "source": "selfhvd adapt",
        "version": __version__,
        "base": networks.base,
        "base_sha256": networks.base_sha256,
        "flow": networks.flow,
        "perceptual": networks.perceptual_name,
        "config": json.dumps(asdict(config)),
        "clips": json.dumps([asdict(clip) for clip in clips]),
        "figures": json.dumps(figures),
    }
    save_state_dict(path, values, metadata)


def rounded(standing: Standing) -> dict[str, float]:
    """A standing for people."""
    return {name: round(value, 4) for name, value in asdict(standing).items()}


class Log:
    """One JSON object a line for every step; a resumed run drops what it is going to do again."""

    def __init__(self, path: Path, step: int) -> None:
        """Args: `step` is the first that will be done (from 0); 0 begins a new log.

        Raises:
            UsageFault: another process writes it, and so the same weights.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = path.open("a+", encoding="utf-8", errors="replace")
        if not lock(self._file.fileno()):
            self._file.close()
            raise UsageFault(f"{path}: another selfhvd adapts to these weights; wait, or name others with -o.")
        self._file.seek(0)
        kept = [line for line in self._file.read().splitlines() if step and _step_of(line) <= step]
        self._file.truncate(0)
        for line in kept:
            self._file.write(line + "\n")
        self._file.flush()

    def add(self, report: StepReport) -> None:
        """Write a line."""
        values: dict[str, Any] = {
            "step": report.step,
            "stage": report.stage,
            **{name: round(value, 6) for name, value in report.losses.items()},
            "rate": report.rate,
            "seconds": round(report.seconds, 4),
        }
        if report.held_out is not None:
            values["held_out"] = rounded(report.held_out)
        if report.events:
            values["events"] = report.events
        self._file.write(json.dumps(values) + "\n")

    def flush(self) -> None:
        """Have it on disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")
