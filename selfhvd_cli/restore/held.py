"""Held frames: what waits in a window, in little memory, and gives its RGB on the device where it is worked on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from selfhvd_cli.ops.transfer import to_device
from selfhvd_cli.restore.packing import pack, unpack
from selfhvd_cli.restore.tiles import Area
from selfhvd_cli.video.codes import Codes


class Packed:
    """A frame of RGB, packed into half its memory."""

    def __init__(self, packed: Tensor) -> None:
        """
        Args:
            packed: `[3, H, W]`, int16, see `packing`.
        """
        self._packed = packed

    @staticmethod
    def of(frame: Tensor) -> Packed:
        """The packed frame `[3, H, W]`, float32."""
        return Packed(pack(frame))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self._packed.shape[1:]
        return height, width

    def rgb(self, device: torch.device, area: Area | None = None) -> Tensor:
        """`[3, h, w]` on a device, float32: the frame or an area of it."""
        part = self._packed if area is None else area.of(self._packed)
        return unpack(to_device(part, device))

    def thin(self, step: int) -> Tensor:
        """Every `step`-th pixel of every `step`-th row, `[3, h, w]`, in main memory."""
        return unpack(self._packed[:, ::step, ::step])

    def outcome(self, before: Tensor, after: Tensor) -> Tensor:
        """What of a result `after` goes to main memory.

        Args:
            before, after: the frame's RGB and the result, `[3, H, W]`, on the device.
        """
        return after

    def finished(self, landed: Tensor) -> Tensor:
        """What a writer takes, made of an `outcome` in main memory."""
        return landed

    def __reduce__(self) -> tuple[Any, ...]:
        # Through a pipe as numpy: torch would share memory through files.
        return _packed_again, (self._packed.numpy(),)


class Planes:
    """A frame as the codes of its planes, which the device turns into RGB and a result back into."""

    def __init__(self, codes: Codes) -> None:
        self._codes = codes
        self._there: Codes | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self._codes.size

    def rgb(self, device: torch.device, area: Area | None = None) -> Tensor:
        """`[3, h, w]` on a device, float32: the frame or an area of it."""
        rgb = self._on(device).rgb()
        return rgb if area is None else area.of(rgb)

    def thin(self, step: int) -> Tensor:
        """Every `step`-th pixel of every `step`-th row, `[3, h, w]`, in main memory."""
        return self._codes.thin(step).rgb()

    def outcome(self, before: Tensor, after: Tensor) -> Tensor:
        """What of a result `after` goes to main memory.

        Args:
            before, after: the frame's RGB and the result, `[3, H, W]`, on the device.
        """
        return self._on(after.device).changed(before, after).flat

    def finished(self, landed: Tensor) -> Codes:
        """What a writer takes, made of an `outcome` in main memory."""
        return self._codes.with_flat(landed)

    def _on(self, device: torch.device) -> Codes:
        """The codes on a device, where they stay: a few megabytes there, in place of a copy for each use."""
        there = self._there
        if there is None or there.flat.device != device:
            there = self._there = self._codes.to(device)
        if there.flat.is_cuda:
            there.flat.record_stream(torch.cuda.current_stream(device))  # both the network's and the guard's read it
        return there

    def __reduce__(self) -> tuple[Any, ...]:
        codes = self._codes
        return _planes_again, (codes.with_flat(torch.empty(0)), codes.flat.numpy())


Held = Packed | Planes


def _packed_again(packed: Any) -> Packed:
    return Packed(torch.from_numpy(packed))


def _planes_again(codes: Codes, flat: Any) -> Planes:
    return Planes(codes.with_flat(torch.from_numpy(flat)))
