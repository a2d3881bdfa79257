"""Photographs that benchmarks draw their clips from, and drawn frames as tensors."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch


def add_options(parser: argparse.ArgumentParser) -> None:
    """PHOTOS, --list and --weights."""
    parser.add_argument("photos", type=Path)
    parser.add_argument("--list", type=Path, dest="listing")
    parser.add_argument("--weights", type=Path)


def chosen(arguments: argparse.Namespace) -> list[Path]:
    """The pictures that the list names, or all of the folder."""
    if arguments.listing:
        return [arguments.photos / name for name in arguments.listing.read_text().split()]
    return sorted(arguments.photos.glob("*.[jp][pn]g"))


def as_tensor(frames: Sequence[np.ndarray]) -> torch.Tensor:
    """`[T, 3, H, W]` in [0, 1] of 8-bit pictures `[H, W, 3]`."""
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).float() / 255.0
