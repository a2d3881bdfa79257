"""Labels from the base network: the sharp frames as it restores them, whole, found when first asked for."""

from __future__ import annotations

from dataclasses import replace
from tempfile import gettempdir

import torch
from torch import Tensor

from selfhvd_cli.device import Compute
from selfhvd_cli.errors import DiskFault
from selfhvd_cli.restore.architectures import Architecture
from selfhvd_cli.restore.engine import Engine
from selfhvd_cli.restore.held import Packed
from selfhvd_cli.restore.plan import Plan, estimate_memory
from selfhvd_cli.restore.restorer import Restorer
from selfhvd_cli.training.footage import Footage, Shot

WINDOW = 13
"""Frames from which a sharp one is restored. Not chosen by the memory there is, for a resumed run must find the same
labels."""

WHOLE_BYTES = 5 << 29
"""What the network may be expected to take for a frame that is restored whole: `lite` up to 2048×1152. In tiles a
frame of 720p took four times as long, and large blur is restored less well. As constant as the window."""

TILE = 640
"""Side in pixels of the tiles of larger ones."""


def label_memory(row: Architecture, height: int, width: int) -> int:
    """Bytes that the base network may be expected to take while it restores a sharp frame of this size."""
    return estimate_memory(row, _plan(row, WINDOW, height, width), height, width, torch.float32)


def _plan(row: Architecture, window: int, height: int, width: int) -> Plan:
    whole = Plan(window, 0)
    if estimate_memory(row, whole, height, width, torch.float32) <= WHOLE_BYTES:
        return whole
    return replace(whole, tile=TILE, tile_overlap=row.tile_overlap)


class RestoredLabels:
    """What the base network, which stays as it is, makes of the sharp frames; kept on disk in 8 bits.

    Not in the paper, whose network starts from scratch and learns from the sharp frames as they were recorded. Those
    keep noise, compression and a little blur that a network which restores already removes: aligned with its outputs
    they measured up to 1 dB worse than these outputs, its own restorations of them 0.3 to 1.7 dB better.
    """

    def __init__(self, restorer: Restorer, row: Architecture, compute: Compute) -> None:
        """
        Args:
            restorer: the base network, in eval mode; nobody may train it.
            row: its architecture.
        """
        self.restorer, self.row, self.compute = restorer, row, compute
        self._found: dict[Footage, Footage] = {}
        self._places: dict[tuple[Footage, int], int] = {}

    def crop(self, shot: Shot, frame: int, top: int, left: int, side: int) -> Tensor:
        """`[3, side, side]`, float32 in [0, 1]: a part of sharp frame `frame` of the shot, restored.

        Raises:
            DiskFault: there is no room to keep the frame.
        """
        found = self._found.setdefault(shot.footage, Footage(*shot.size))
        key = shot.footage, shot.first + frame
        if key not in self._places:
            restored = self._restored(shot, frame)
            try:
                found.append(restored)
            except OSError as fault:
                raise DiskFault(
                    f"no room for restored sharp frames in {gettempdir()} ({fault}); free some space, or set TMPDIR "
                    "to a larger disk."
                ) from fault
            self._places[key] = len(found) - 1
        return found.crop(self._places[key], top, left, side, side).float() / 255.0

    def _restored(self, shot: Shot, frame: int) -> Tensor:
        window = min(WINDOW, len(shot))
        first = min(max(frame - window // 2, 0), len(shot) - window)
        # All frames at once: one of a network that remembers frames sees half an overlap to either side.
        plan = replace(_plan(self.row, window, *shot.size), window=2 * window, overlap=2 * (window - 1))
        engine = Engine(self.restorer, plan, self.compute)
        frames = [Packed.of(shot.picture(first + i)) for i in range(window)]
        return engine.restore(frames, slice(frame - first, frame - first + 1))[0].clamp(0, 1)
