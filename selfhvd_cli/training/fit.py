"""Crop, sequence and batch of a training, chosen for the device and its memory."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from selfhvd_cli.device import Compute
from selfhvd_cli.errors import MemoryFault
from selfhvd_cli.restore.architectures import Architecture
from selfhvd_cli.restore.memory import in_words
from selfhvd_cli.restore.restorer import Restorer, round_up

USABLE = 0.6
"""Share of the free memory that a training may count on."""

SAFETY = 1.6
"""What is saved for the gradient is not all: there are workspaces, the flow's own activations, fragments."""

SMALLEST_CROP, SMALLEST_SEQUENCE = 96, 4


@dataclass(frozen=True)
class Sizes:
    """What one step holds in memory."""

    crop: int
    """Pixels a side."""

    sequence: int
    """Frames."""

    batch: int
    """Crops, in this process."""

    checkpoint_activations: bool = False
    """Whether activations are computed a second time instead of kept."""

    def __str__(self) -> str:
        again = ", activations computed twice to save memory" if self.checkpoint_activations else ""
        return f"{self.batch} crops of {self.crop} px, {self.sequence} frames each{again}"


WANTED = {"cuda": Sizes(256, 12, 4), "mps": Sizes(256, 9, 2), "cpu": Sizes(192, 9, 2)}
"""What is wanted where (paper: 256 px). On a CPU time is short before memory is, but smaller crops teach the wrong
thing: `lite` restores those of 128 px otherwise than the whole frame, even in their middle, by more than it is to
learn: they raised the held-out score of a clip by 0.5 dB and took 0.4 dB away from its whole frames."""


def fit_sizes(
    restorer: Restorer,
    row: Architecture,
    compute: Compute,
    memory: int,
    targets: int,
    *,
    crop: int | None = None,
    sequence: int | None = None,
    batch: int | None = None,
) -> Sizes:
    """The sizes wanted on this device, made smaller until they fit; what the caller names stays as it is.

    First activations are checkpointed, then the batch, the sequence and the crop shrink.

    Args:
        memory: bytes that are free.
        targets: frames that a network which selects frames is asked for.

    Raises:
        MemoryFault: not even the smallest sizes fit.
    """
    wanted = WANTED.get(compute.device.type, WANTED["cpu"])
    least = round_up(max(SMALLEST_CROP, row.convention.min_size), 8)
    sizes = Sizes(crop or max(wanted.crop, least), sequence or wanted.sequence, batch or wanted.batch)
    limit = USABLE * memory
    rates: dict[bool, float] = {}
    while True:
        again = sizes.checkpoint_activations
        if again not in rates:
            rates[again] = _bytes_per_pixel_frame(restorer, row, compute, targets, again)
        needed = _bytes(restorer, row, sizes, targets, rates[again])
        if needed <= limit:
            return sizes
        smaller = _smaller(sizes, restorer, least, crop is None, sequence is None, batch is None)
        if smaller is None:
            raise MemoryFault(
                f"training needs about {in_words(int(needed))} with {sizes}, and {in_words(int(limit))} may be used; "
                "close other programs, choose --model lite, or give a smaller --crop, --sequence or --batch."
            )
        sizes = smaller


def set_checkpointing(network: nn.Module, on: bool) -> None:
    """Switch a network's activation checkpointing, if it has any."""
    if hasattr(network, "checkpoint_activations"):
        network.checkpoint_activations = on  # type: ignore[assignment]


def _smaller(sizes: Sizes, restorer: Restorer, least: int, crop: bool, sequence: bool, batch: bool) -> Sizes | None:
    """The next smaller sizes, or None; the flags say what may change."""
    if not sizes.checkpoint_activations and hasattr(restorer.network, "checkpoint_activations"):
        return replace(sizes, checkpoint_activations=True)
    if batch and sizes.batch > 1:
        return replace(sizes, batch=sizes.batch // 2)
    if sequence and sizes.sequence > SMALLEST_SEQUENCE:
        return replace(sizes, sequence=max(SMALLEST_SEQUENCE, sizes.sequence * 2 // 3))
    if crop and sizes.crop > least:
        return replace(sizes, crop=max(least, sizes.crop * 3 // 4 // 8 * 8))
    return None


def _bytes(restorer: Restorer, row: Architecture, sizes: Sizes, targets: int, rate: float) -> float:
    """Memory of a step: activations, and parameters with gradient, moments, average, best and historical copy."""
    parameters = sum(parameter.numel() for parameter in restorer.parameters())
    frames = min(targets, sizes.sequence) if row.selects_frames else sizes.sequence
    return SAFETY * rate * sizes.batch * frames * sizes.crop**2 + 8 * 4 * parameters


def _bytes_per_pixel_frame(
    restorer: Restorer, row: Architecture, compute: Compute, targets: int, again: bool
) -> float:
    """What the gradient of one small sequence makes autograd keep, for each pixel of each frame that is restored."""
    side = round_up(max(SMALLEST_CROP, row.convention.min_size), 8)
    length = SMALLEST_SEQUENCE
    frames = torch.zeros(1, length, 3, side, side, device=compute.device)
    keep = slice(0, min(targets, length)) if row.selects_frames else slice(0, length)
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    flags = [parameter.requires_grad for parameter in restorer.parameters()]
    before = getattr(restorer.network, "checkpoint_activations", False)
    set_checkpointing(restorer.network, again)
    restorer.requires_grad_(True)
    try:
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor), compute.autocast():
            restorer(frames, keep)
    finally:
        set_checkpointing(restorer.network, before)
        for parameter, flag in zip(restorer.parameters(), flags, strict=True):
            parameter.requires_grad_(flag)
    return sum(kept.values()) / ((keep.stop - keep.start) * side**2)
