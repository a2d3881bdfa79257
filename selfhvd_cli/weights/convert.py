"""A foreign checkpoint (torch's pickled format, or safetensors with foreign keys) into our safetensors, once."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfhvd_cli.errors import WeightsFault
from selfhvd_cli.weights.check import check_signature
from selfhvd_cli.weights.load import load_state_dict
from selfhvd_cli.weights.save import save_state_dict
from selfhvd_cli.weights.signatures import NESTS, UNRELATED, identify, strip

if TYPE_CHECKING:
    from torch import Tensor

SIZE_LIMIT = 8 << 30
"""Bytes that an archive may unpack to; the largest known checkpoint has 0.6 GB."""

REFUSED = "it may run code when opened, so it was not opened further; ask its author for a safetensors file."

DAMAGED = (RuntimeError, EOFError, ValueError, KeyError, IndexError, TypeError, AttributeError)
"""What torch raises where a checkpoint is damaged."""


@dataclass(frozen=True)
class Conversion:
    """What became of a checkpoint."""

    architecture: str
    """As recognised by its keys, or as the caller said; empty if unknown."""

    keys: int
    """Tensors kept."""

    nest: str
    """Key of the checkpoint the weights lay under; empty for a bare state dict."""

    prefix: str
    """What was taken off every key."""

    dropped: tuple[str, ...]
    """Names left out: no tensors, unrelated, or outside the prefix."""

    def __str__(self) -> str:
        words = [f"{self.keys} tensors of {self.architecture or 'an unknown network'}"]
        if self.prefix:
            words.append(f"prefix {self.prefix!r} taken off")
        if self.dropped:
            more = f" and {len(self.dropped) - 3} more" if len(self.dropped) > 3 else ""
            words.append(f"left out: {', '.join(self.dropped[:3])}{more}")
        return ", ".join(words)


def convert(source: Path, target: Path, metadata: Mapping[str, str], architecture: str = "") -> Conversion:
    """Write the weights in `source` to `target` (safetensors) with `metadata` and what was done in the header.

    Args:
        source: a checkpoint of `torch.save`, or a safetensors file.
        target: where the result appears, whole or not at all.
        metadata: where the file came from.
        architecture: what it must be; empty to take whatever it is.

    Raises:
        WeightsFault: not readable without running code, no weights in it, or of another architecture.
        DiskFault: the target cannot be written.
    """
    foreign, nest, dropped = _tensors_of(source)
    shapes = {key: tuple(tensor.shape) for key, tensor in foreign.items()}
    prefix, recognised = strip(shapes)
    kept: dict[str, Tensor] = {}
    for key, tensor in foreign.items():
        if key in UNRELATED or not key.startswith(prefix):
            dropped.append(key)
        else:
            kept[key.removeprefix(prefix)] = tensor
    if not kept:
        raise WeightsFault(f"{source}: holds no weights (found {', '.join(dropped[:3]) or 'nothing'}).")
    if architecture:
        check_signature(source, architecture, {key: tuple(tensor.shape) for key, tensor in kept.items()})
    done = Conversion(architecture or recognised, len(kept), nest, prefix, tuple(dropped))
    header = {
        **metadata,
        "architecture": done.architecture,
        "converted": f"nest={nest} prefix={prefix} left_out={len(dropped)}",
    }
    save_state_dict(target, kept, header)
    return done


def recognise(path: Path) -> str:
    """The architecture of a safetensors file's bare keys; empty if unknown."""
    from selfhvd_cli.weights.load import read_shapes

    return identify(read_shapes(path))


def _tensors_of(source: Path) -> tuple[dict[str, Tensor], str, list[str]]:
    """Tensors by key, the nest they lay in, and names of what was left outside."""
    from torch import Tensor

    content: Any = load_state_dict(source) if source.suffix == ".safetensors" else _unpickle(source)
    nest, dropped = "", []
    while isinstance(content, Mapping):
        inner = next((key for key in NESTS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        dropped += [str(key) for key in content if key != inner]
        nest = f"{nest}/{inner}".strip("/")
        content = content[inner]
    if not isinstance(content, Mapping):
        raise WeightsFault(f"{source}: holds a {type(content).__name__}, not weights by name.")
    tensors = {
        str(key): value
        for key, value in content.items()
        if isinstance(value, Tensor) and value.layout is _strided() and not value.is_quantized
    }
    dropped += [str(key) for key in content if str(key) not in tensors]
    return tensors, nest, dropped


def _unpickle(source: Path) -> Any:
    """What `torch.save` wrote, if it holds tensors and plain values only."""
    import torch

    _check_archive(source)
    try:
        with torch.serialization.safe_globals(_harmless()):
            return torch.load(source, map_location="cpu", weights_only=True)
    except OSError as fault:
        raise WeightsFault(f"{source}: cannot be read ({fault.strerror or fault}); get the file again.") from fault
    except (pickle.UnpicklingError, *DAMAGED) as fault:
        if not _is_saved_by_torch(source):
            raise WeightsFault(
                f"{source}: no checkpoint: neither torch.save nor safetensors wrote it; name the file of weights."
            ) from None
        if isinstance(fault, pickle.UnpicklingError):
            raise WeightsFault(f"{source}: refused: {_reason(fault)}; {REFUSED}") from fault
        raise WeightsFault(
            f"{source}: no checkpoint that can be read ({_first_line(fault)}); get the file again."
        ) from fault


def _check_archive(source: Path) -> None:
    """Refuse archives that unpack to far more than they are; torch stores its members uncompressed."""
    try:
        with zipfile.ZipFile(source) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError):
        return  # torch's older format, or no checkpoint at all: the loader says which
    total = sum(member.file_size for member in members)
    if total > SIZE_LIMIT or total > 4 * source.stat().st_size + (1 << 20):
        raise WeightsFault(f"{source}: refused: unpacks to {total} bytes from {source.stat().st_size}.")
    for member in members:
        if member.filename.startswith("/") or ".." in member.filename.split("/") or "\\" in member.filename:
            raise WeightsFault(f"{source}: refused: a member is named {member.filename!r}, outside the archive.")


def _harmless() -> list[Any]:
    """Types beyond torch's own list that checkpoints carry beside the weights: numpy numbers among the scores."""
    import numpy as np

    scalar = np.float64(0).__reduce__()[0]
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")  # before and since numpy 2
    kinds = [type(np.dtype(kind)) for kind in ("float16", "float32", "float64", "int32", "int64", "bool")]
    return [*((scalar, name) for name in names), np.dtype, *kinds]


def _strided() -> Any:
    import torch

    return torch.strided


def _is_saved_by_torch(source: Path) -> bool:
    """Whether a file begins as an archive or a pickle does."""
    with source.open("rb") as file:
        return file.read(2) in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def _reason(fault: pickle.UnpicklingError) -> str:
    """What was met in the file, without torch's advice to switch off the very check that met it."""
    met = next((line for line in str(fault).splitlines() if "nsupported" in line), "it holds more than weights")
    return met.rpartition("error:")[2].strip().partition(". ")[0].rstrip(".")[:200]


def _first_line(fault: BaseException) -> str:
    return str(fault).strip().splitlines()[0][:200] if str(fault).strip() else type(fault).__name__
