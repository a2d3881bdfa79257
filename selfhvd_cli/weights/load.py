"""Tensors and metadata out of a safetensors file, which can hold data only; nothing else is read at run time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfhvd_cli.errors import WeightsFault, means_out_of_memory
from selfhvd_cli.weights.record import check_record

if TYPE_CHECKING:
    from torch import Tensor


def load_state_dict(path: Path) -> dict[str, Tensor]:
    """The file's tensors by key, on the CPU, after its hash was checked if the store has a record of it.

    Raises:
        WeightsFault: the file is missing, damaged, changed since it was stored, or no safetensors file.
    """
    check_record(path)
    with _opened(path, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (a handle, not a mapping)
        return tensors | {key: tensors[kept] for key, kept in _aliases(file).items()}


def read_metadata(path: Path) -> dict[str, str]:
    """The text fields in the file's header: architecture, source, what it was trained on.

    Raises:
        WeightsFault: as `load_state_dict`.
    """
    with _opened(path) as file:
        return dict(file.metadata() or {})


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Key → shape, from the header alone.

    Raises:
        WeightsFault: as `load_state_dict`.
    """
    with _opened(path) as file:
        shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
        return shapes | {key: shapes[kept] for key, kept in _aliases(file).items()}


def _aliases(file: Any) -> dict[str, str]:
    """Keys that safetensors' `save_model` left out because another key names the same storage → that key."""
    keys = set(file.keys())
    metadata = file.metadata() or {}
    # The header's plain fields (a name, a licence) have no dots; keys of a module's parameters do.
    return {key: kept for key, kept in metadata.items() if "." in key and key not in keys and kept in keys}


@contextmanager
def _opened(path: Path, framework: str = "numpy") -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework=framework, device="cpu") as file:
            yield file
    except (SafetensorError, ValueError, OSError, RuntimeError) as fault:
        if means_out_of_memory(fault):
            raise
        if not path.exists():  # torch tells it with a RuntimeError; another process may just have pruned it
            raise WeightsFault(f"{path}: no such file; selfhvd weights list shows what there is.") from None
        raise WeightsFault(
            f"{path}: no intact safetensors file ({fault}); "
            f"a checkpoint in another format comes in by: selfhvd weights import FILE"
        ) from fault
