"""What a pretraining began with, as hashes that its checkpoint keeps: the photographs and the parameters."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from selfhvd_cli.errors import InputFault


@dataclass(frozen=True)
class Origin:
    """Where one of these differs, so do the weights."""

    photographs: str
    """Of the contents of all photographs, in the order in which they are drawn from."""

    start: str
    """Of the parameters it began with; empty for random ones, which the seed decides."""

    @staticmethod
    def of(photographs: Sequence[Path], start: Mapping[str, Tensor] | None) -> Origin:
        """The origin of a training that is to begin or to go on.

        Raises:
            InputFault: a photograph cannot be read.
        """
        return Origin(_hash_of_files(photographs), "" if start is None else _hash_of_values(start))


def _hash_of_files(paths: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        try:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        except OSError as fault:
            raise InputFault(f"{path}: cannot be read ({fault.strerror}); take it out of the photographs.") from None
    return digest.hexdigest()


def _hash_of_values(values: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for key in sorted(values):
        digest.update(f"{key} {tuple(values[key].shape)}".encode())
        digest.update(values[key].detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
