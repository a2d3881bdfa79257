"""Loading: a network's name and a file of weights, to a restorer that is ready to run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from selfhvd_cli.errors import WeightsFault
from selfhvd_cli.restore.architectures import ARCHITECTURES, Architecture, architecture
from selfhvd_cli.restore.arrange import arrange
from selfhvd_cli.restore.restorer import Restorer
from selfhvd_cli.weights.check import check_state_dict
from selfhvd_cli.weights.load import load_state_dict, read_metadata
from selfhvd_cli.weights.reference import parse_reference
from selfhvd_cli.weights.spec import WeightSpec, default_for
from selfhvd_cli.weights.verify import sha256_of


@dataclass(frozen=True)
class Loaded:
    """A network with its weights."""

    restorer: Restorer
    """In eval mode on its device, parameters frozen."""

    architecture: Architecture
    """The network's row."""

    model: str
    """The network's name."""

    weights: str
    """What was loaded: a name of the manifest, a file, or `hf://…`."""

    sha256: str
    """Of the file; empty where parameters are fresh."""


def weights_reference(model: str, weights: str | None) -> str:
    """What to load for a network: the named weights, or the network's default ones.

    Raises:
        UsageFault: there is no such network.
        WeightsFault: it has no default weights; or the named ones are unknown or of another network.
    """
    architecture(model)
    if weights is None:
        spec = default_for(model)
        if spec is None:
            raise WeightsFault(f"--model {model}: no weights are known for it; name some with --weights FILE.")
        return spec.name
    target = parse_reference(weights)
    if isinstance(target, WeightSpec):
        _check_architecture(weights, target.architecture, model)
    return weights


def load_restorer(model: str, weights: str, path: Path, device: torch.device) -> Loaded:
    """A network with a file's weights behind the project's convention.

    Args:
        model: a name of `ARCHITECTURES`.
        weights: how the user named them, for messages and reports.
        path: their safetensors file.
        device: where it will run.

    Raises:
        UsageFault: there is no such network.
        WeightsFault: the file is damaged, or of another network; then it says which keys differ and what it looks
            like.
    """
    row = architecture(model)
    _check_architecture(weights, read_metadata(path).get("architecture", ""), model)
    restorer = row.restorer()
    state = load_state_dict(path)
    check_state_dict(f"--weights {weights}", model, restorer.network.state_dict(), state)
    restorer.network.load_state_dict(state, strict=True)
    restorer.eval().requires_grad_(False).to(device)
    arrange(restorer, device)
    return Loaded(restorer, row, model, weights, sha256_of(path))


def fresh_restorer(model: str, device: torch.device) -> Loaded:
    """A network with fresh parameters, for measuring time and memory where no weights are at hand."""
    row = architecture(model)
    restorer = row.restorer()
    restorer.eval().requires_grad_(False).to(device)
    arrange(restorer, device)
    return Loaded(restorer, row, model, "none", "")


def _check_architecture(weights: str, stated: str, model: str) -> None:
    if stated and stated != model:
        remedy = f"add --model {stated}" if stated in ARCHITECTURES else "they restore no videos"
        raise WeightsFault(f"--weights {weights}: these belong to {stated}, not to {model}; {remedy}.")
