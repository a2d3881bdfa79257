"""Tensors into a safetensors file that appears whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from selfhvd_cli.errors import DiskFault

if TYPE_CHECKING:
    from torch import Tensor


def save_state_dict(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write `tensors` (any device, any strides, shared storage too) with text fields in the header.

    Raises:
        DiskFault: no space, no permission, no folder.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    # Two keys may name one storage (SEA-RAFT's bn3 and downsample.1); safetensors wants each its own.
    own = {key: tensor.detach().cpu().clone().contiguous() for key, tensor in tensors.items()}
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
        mode = part.stat().st_mode
        save_file(own, part, metadata=dict(metadata))
        part.chmod(mode)  # safetensors makes files that only their owner can read
        with part.open("rb+") as stream:
            os.fsync(stream.fileno())
        part.replace(path)
    except (OSError, SafetensorError) as fault:
        reason = "the disk is full" if getattr(fault, "errno", None) == errno.ENOSPC else str(fault)
        raise DiskFault(f"{path}: cannot be written ({reason}).") from fault
    finally:
        part.unlink(missing_ok=True)
