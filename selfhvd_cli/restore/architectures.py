"""The networks this project can run, one literal row each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import nn

from selfhvd_cli.errors import UsageFault
from selfhvd_cli.restore.restorer import Convention, Restorer


@dataclass(frozen=True)
class Architecture:
    """A network's class, its convention, and what windows, tiles and precision suit it."""

    network: str
    """`module:Class`, imported when the network is built."""

    convention: Convention
    """Colours, borders and lengths the network expects."""

    window: int
    """Frames in one call, when memory allows."""

    overlap: int
    """Frames that consecutive windows share: cross-faded, or context of a network that selects frames."""

    tile_overlap: int
    """Pixels that neighbouring tiles share; a third of them at each side is dropped, the middle is blended."""

    bytes_per_pixel: int
    """Working memory per pixel of a tile, in float32, whatever the number of frames."""

    bytes_per_pixel_frame: int
    """Memory that every frame of the window adds per pixel of the tile, in float32."""

    options: Mapping[str, Any] | None = None
    """Arguments of the class that differ from its defaults."""

    precisions: tuple[torch.dtype, ...] = (torch.float32, torch.bfloat16, torch.float16)
    """Autocast types that keep the picture; a run that chose another one falls back to float32."""

    @property
    def selects_frames(self) -> bool:
        """Whether the network computes only the frames that are wanted of it."""
        return self.convention.selects_frames

    def overlap_of(self, window: int) -> int:
        """Frames that windows of this length share."""
        # To share all but one frame costs nothing where what was computed of a frame is kept.
        most = window - 1 if self.convention.remembers_frames else max(0, window - 1) * 2 // 3
        return min(self.overlap, most)

    def build(self) -> nn.Module:
        """The network with fresh parameters."""
        module, name = self.network.split(":")
        built: nn.Module = getattr(import_module(module), name)(**(self.options or {}))
        return built

    def restorer(self, network: nn.Module | None = None) -> Restorer:
        """The network (a fresh one if none is given) behind the project's convention."""
        return Restorer(self.build() if network is None else network, self.convention)


ARCHITECTURES: Mapping[str, Architecture] = {
    "lite": Architecture(
        network="selfhvd_cli.nets.lite:Lite",
        convention=Convention(multiple_of=8, min_size=64, selects_frames=True, remembers_frames=True),
        window=21,
        overlap=20,
        tile_overlap=96,
        bytes_per_pixel=520,
        bytes_per_pixel_frame=32,
    ),
    # zzh-tech/ESTRNN: BGR, (v - 127.5) / 255, multiples of 4.
    "ifirnn": Architecture(
        network="selfhvd_cli.nets.ifirnn:IFIRNN",
        convention=Convention(channels="bgr", offset=-0.5, multiple_of=4),
        window=20,
        overlap=4,
        tile_overlap=96,
        bytes_per_pixel=600,
        bytes_per_pixel_frame=40,
    ),
    # The same conventions; two frames of context at each end have no output.
    "estrnn": Architecture(
        network="selfhvd_cli.nets.estrnn:ESTRNN",
        convention=Convention(channels="bgr", offset=-0.5, multiple_of=4, lost_before=2, lost_after=2),
        window=20,
        overlap=4,
        tile_overlap=96,
        bytes_per_pixel=1450,
        bytes_per_pixel_frame=70,
    ),
    # Asserts 64 pixels at a quarter of the size; vs-basicvsrpp extends by replication, too.
    "basicvsrpp": Architecture(
        network="selfhvd_cli.nets.basicvsrpp:BasicVSRPlusPlus",
        convention=Convention(multiple_of=4, min_size=256),
        window=16,
        overlap=4,
        tile_overlap=96,
        bytes_per_pixel=2000,
        bytes_per_pixel_frame=180,
    ),
    # Clips of two frames, 8x8 windows on the quarter grid; the official script mirrors rows, columns and last frame.
    "rvrt": Architecture(
        network="selfhvd_cli.nets.rvrt:RVRT",
        convention=Convention(multiple_of=8, min_size=136, border="symmetric", frames_multiple_of=2),
        window=16,
        overlap=4,
        tile_overlap=96,
        bytes_per_pixel=6000,
        bytes_per_pixel_frame=600,
    ),
}
"""Name, as in `--model`, to its row."""


def architecture(name: str) -> Architecture:
    """The row of a name.

    Raises:
        UsageFault: there is no such network.
    """
    if name not in ARCHITECTURES:
        raise UsageFault(f"--model {name}: no such network; choose one of {', '.join(ARCHITECTURES)}.")
    return ARCHITECTURES[name]
