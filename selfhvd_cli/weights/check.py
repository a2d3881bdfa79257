"""Whether a file's keys are those of the network that shall take them; if not, what the file is instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from selfhvd_cli.errors import WeightsFault
from selfhvd_cli.weights.signatures import SIGNATURES, Shape, identify

if TYPE_CHECKING:
    from torch import Tensor

NAMED = 4
"""Keys that a message names before it only counts."""


def check_state_dict(
    source: Path | str, architecture: str, expected: Mapping[str, Tensor], got: Mapping[str, Tensor]
) -> None:
    """Compare keys and shapes with a network's own `state_dict()`.

    Args:
        source: where `got` comes from, as the message shall begin.
        architecture: the network's name in the manifest.

    Raises:
        WeightsFault: they differ; it names missing, unexpected and differently shaped keys and what the file looks
            like.
    """
    check_shapes(source, architecture, _shapes(expected), _shapes(got))


def check_shapes(
    source: Path | str, architecture: str, expected: Mapping[str, Shape], got: Mapping[str, Shape]
) -> None:
    """`check_state_dict` on key → shape alone."""
    reshaped = [key for key in expected if key in got and got[key] != expected[key]]
    parts = [
        _some("missing", [key for key in expected if key not in got]),
        _some("unexpected", [key for key in got if key not in expected]),
        _some("of another shape", [f"{key} ({list(got[key])}, not {list(expected[key])})" for key in reshaped]),
    ]
    if any(parts):
        what = "; ".join(part for part in parts if part)
        raise WeightsFault(f"{source}: no weights of {architecture}: {what}. {_hint(architecture, got)}")


def check_signature(path: Path, architecture: str, got: Mapping[str, Shape]) -> None:
    """Refuse a file whose telling keys are not those of `architecture`; needs no network.

    Raises:
        WeightsFault: as `check_state_dict`, or the architecture is unknown.
    """
    if architecture not in SIGNATURES:
        raise WeightsFault(f"{architecture}: no such architecture; choose one of {', '.join(SIGNATURES)}.")
    signature = SIGNATURES[architecture]
    wrong = [key for key, shape in signature.marks.items() if key not in got or shape not in (None, got[key])]
    if wrong or any(key in got for key in signature.absent):
        lacks = _some("missing or of another shape", wrong) or f"it has {signature.absent[0]}"
        raise WeightsFault(f"{path}: no weights of {architecture}: {lacks}. {_hint(architecture, got)}")
    if signature.keys and len(got) < signature.keys:
        raise WeightsFault(
            f"{path}: incomplete weights of {architecture}: {len(got)} of {signature.keys} keys; get the file again."
        )


def _hint(architecture: str, got: Mapping[str, Shape]) -> str:
    looks = identify(got)
    if looks == architecture:
        return f"The file does look like {looks}, but of another configuration or cut short."
    if looks:
        return f"The file looks like {looks} instead: use it with that network, such as --model {looks}."
    sample = ", ".join(list(got)[:3])
    return f"The file looks like no network known here (it begins with {sample}); known are {', '.join(SIGNATURES)}."


def _some(what: str, keys: Iterable[str]) -> str:
    listed = list(keys)
    if not listed:
        return ""
    rest = f" and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
    return f"{what} {len(listed)}: {', '.join(listed[:NAMED])}{rest}"


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, Shape]:
    return {key: tuple(tensor.shape) for key, tensor in tensors.items()}
