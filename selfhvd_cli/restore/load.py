"""Loading: a network's name and its weights, from wherever they are kept, to a restorer that is ready to run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from selfhvd_cli.errors import WeightsFault
from selfhvd_cli.restore.architectures import Architecture, architecture
from selfhvd_cli.restore.restorer import Restorer
from selfhvd_cli.weights.load import load_state_dict, read_metadata
from selfhvd_cli.weights.spec import default_for
from selfhvd_cli.weights.store import resolve
from selfhvd_cli.weights.verify import sha256_of


@dataclass(frozen=True)
class Loaded:
    """A network with its weights."""

    restorer: Restorer
    """In eval mode on the device, its parameters frozen."""

    architecture: Architecture
    """The network's row."""

    weights: str
    """What was loaded: a name of the manifest or a file."""

    sha256: str
    """Of the file."""


def load_restorer(model: str, weights: str | None, device: torch.device, offline: bool = False) -> Loaded:
    """A network's default weights, or those that are named, behind the project's convention.

    Args:
        model: a name of `ARCHITECTURES`.
        weights: a name of the manifest, a file or an `hf://` reference; None takes the network's default.
        device: where it will run.
        offline: never touch the network to find the file.

    Raises:
        UsageFault: there is no such network.
        WeightsFault: the weights are missing, damaged or of another network.
    """
    row = architecture(model)
    reference = weights or _default_name(model)
    path = resolve(reference, offline)
    restorer = row.restorer()
    _fill(restorer, model, reference, path)
    restorer.eval().requires_grad_(False).to(device)
    return Loaded(restorer, row, reference, sha256_of(path))


def _default_name(model: str) -> str:
    spec = default_for(model)
    if spec is None:
        raise WeightsFault(f"--model {model}: no weights are known for it; name some with --weights FILE.")
    return spec.name


def _fill(restorer: Restorer, model: str, reference: str, path: Path) -> None:
    """Load a file's tensors into the network, strictly."""
    stated = read_metadata(path).get("architecture", model)
    if stated != model:
        raise WeightsFault(
            f"--weights {reference}: these are weights of {stated}, not of {model}; add --model {stated}."
        )
    try:
        restorer.network.load_state_dict(load_state_dict(path), strict=True)
    except RuntimeError as fault:
        reason = str(fault).splitlines()[1].strip() if "\n" in str(fault) else str(fault)
        raise WeightsFault(
            f"--weights {reference}: they do not fit the network {model} ({reason[:200]}); "
            "name the network they belong to with --model."
        ) from fault
