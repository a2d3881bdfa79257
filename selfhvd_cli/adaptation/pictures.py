"""Before and after: the held-out places as one picture, a row a place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from selfhvd_cli.device import Compute
from selfhvd_cli.errors import DiskFault
from selfhvd_cli.restore.restorer import Restorer
from selfhvd_cli.training.probes import Probe, restore_probe

GAP = 8
"""White pixels between pictures."""

ROWS = 6
"""Most places shown."""


def draw_pictures(
    path: Path, probes: Sequence[Probe], base: Restorer | None, now: Restorer, compute: Compute
) -> None:
    """A PNG with a row a probe: input, base network, network now, truth where it is known.

    Args:
        base: None for fresh parameters, whose pictures show nothing.

    Raises:
        DiskFault: it cannot be written.
    """
    rows = []
    for probe in probes[:ROWS]:
        cells = [probe.input]
        if base is not None:
            cells.append(restore_probe(base, probe, compute))
        cells.append(restore_probe(now, probe, compute))
        cells.append(torch.ones_like(probe.input) if probe.truth is None else probe.truth)
        rows.append(_joined(cells, -1))
    _write(path, _joined(rows, -2))


def _joined(pictures: Sequence[Tensor], axis: int) -> Tensor:
    """Pictures `[3, h, w]` after one another, smaller ones extended in white."""
    other = -1 if axis == -2 else -2
    size = max(picture.shape[other] for picture in pictures)
    parts: list[Tensor] = []
    for picture in pictures:
        missing = size - picture.shape[other]
        padding = (0, missing, 0, 0) if other == -1 else (0, 0, 0, missing)
        parts.append(torch.nn.functional.pad(picture, padding, value=1.0))
        shape = list(parts[-1].shape)
        shape[axis] = GAP
        parts.append(torch.ones(shape))
    return torch.cat(parts[:-1], dim=axis)


def _write(path: Path, picture: Tensor) -> None:
    code = (picture.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    ok, data = cv2.imencode(".png", np.ascontiguousarray(code[:, :, ::-1]))
    assert ok
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data.tobytes())
        part.replace(path)
    except OSError as fault:
        part.unlink(missing_ok=True)
        raise DiskFault(f"{path}: cannot be written ({fault}).") from fault
