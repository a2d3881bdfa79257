"""Plan: windows, tiles and strength of a run, and choosing them for a frame size and the memory there is."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from selfhvd_cli.allotment import available_host_memory
from selfhvd_cli.counting import counted
from selfhvd_cli.device import Compute
from selfhvd_cli.errors import UsageFault
from selfhvd_cli.restore.architectures import Architecture
from selfhvd_cli.restore.memory import available_memory, short_of
from selfhvd_cli.restore.restorer import round_up
from selfhvd_cli.restore.tiles import tiled_pixels

USABLE = 0.7
"""Share of the available memory a plan may count on: estimates err and other programs live too."""

COMFORTABLE_TILE = 384
"""Tiles shrink to this side before windows do: much smaller ones mostly compute overlaps."""

SMALLEST_TILE = 64
SMALLEST_WINDOW = 1
SHORTEST_WINDOW = 5
"""Of a network that remembers frames: before it gets shorter, tiles get smaller."""

TOGETHER = 4
"""Frames at a time on an accelerator, which share its commands: one frame of `lite` alone takes several hundred. On a
CPU nothing is gained, and caches are overrun: four 720p frames at a time took 1.16 times as long."""

PACKED_BYTES = 6
FLOAT_BYTES = 12
DECODED_BYTES = 3
"""Bytes of one pixel's three channels in the frame buffer (int16), in float32, and as decoded, at 10 bits."""

JUDGED_BYTES = 120
"""Bytes of the device for each pixel of the frames that are judged at a time (90, measured) or wait for it."""

QUEUED = 10
"""Pictures in float32 that wait between the stages of a run or are under way in one, where frames are large."""

PACKED_AHEAD = 3
"""Frames of the buffer that are packed before it has room: one in hand, one that waits, one under way."""


@dataclass(frozen=True)
class Plan:
    """How a clip is cut up and how far it is changed."""

    window: int
    """Frames in one call of the network."""

    overlap: int = 0
    """Frames consecutive windows share."""

    tile: int | None = None
    """Side of the spatial tiles in pixels; None takes whole frames."""

    tile_overlap: int = 0
    """Pixels neighbouring tiles share."""

    together: int = 1
    """Frames that are judged at a time, and restored by a network that takes them one by one."""

    strength: float = 1.0
    """Share of the change that is applied: 0 leaves every frame as it is."""

    guard: bool = True
    """Whether every result is checked against its input and held back where it looks wrong."""

    scene_cut: bool = True
    """Whether windows end at scene cuts."""

    max_memory: int | None = None
    """The user's limit in bytes, None for what the machine has."""

    def __post_init__(self) -> None:
        if self.window < 1:
            raise UsageFault(f"--window {self.window}: a window has at least 1 frame.")
        if not 0 <= self.overlap < self.window:
            raise UsageFault(f"--window {self.window}: the overlap ({self.overlap}) must be smaller than the window.")
        if self.tile is not None and self.tile < SMALLEST_TILE:
            raise UsageFault(f"--tile {self.tile}: a tile has at least {SMALLEST_TILE} pixels.")
        if self.tile is not None and not 0 <= self.tile_overlap < self.tile:
            raise UsageFault(f"--tile {self.tile}: the overlap ({self.tile_overlap}) must be smaller than the tile.")
        if self.together < 1:
            raise ValueError(f"at least one frame is restored at a time, got {self.together}")
        if not 0.0 <= self.strength <= 1.0:
            raise UsageFault(f"--strength {self.strength}: choose a value from 0 to 1.")

    def fewer(self) -> Plan | None:
        """Half as many frames at a time; None where it is one already."""
        return replace(self, together=self.together // 2) if self.together > 1 else None

    def smaller(self, height: int, width: int, min_size: int = SMALLEST_TILE) -> Plan | None:
        """The next plan after running out of memory: half as many frames at a time, half the tile, then half the
        window; None at the end.

        Args:
            height, width: of the frames, in pixels.
            min_size: below this side the network extends a tile, and nothing is won.
        """
        if (half_as_many := self.fewer()) is not None:
            return half_as_many
        tile = min(self.tile or max(height, width), max(height, width))
        half = round_up(tile // 2, 16)
        if max(SMALLEST_TILE, min_size) <= half < tile:
            return replace(self, tile=half, tile_overlap=min(self.tile_overlap or half // 4, half // 3))
        if self.window > SMALLEST_WINDOW:
            half = self.window // 2
            return replace(self, window=half, overlap=min(self.overlap, half // 2))
        return None

    def __str__(self) -> str:
        tile = "whole frames" if self.tile is None else f"tiles of {self.tile} px"
        together = f", {self.together} at a time" if self.together > 1 else ""
        return f"windows of {counted(self.window, 'frame')}, {tile}{together}"


def frames_together(device: torch.device) -> int:
    """Frames that are worth restoring at a time where memory allows."""
    return 1 if device.type == "cpu" else TOGETHER


def estimate_memory(architecture: Architecture, plan: Plan, height: int, width: int, dtype: torch.dtype) -> int:
    """Bytes the network needs at a time under a plan, from the architecture's measured row."""
    side = plan.tile or max(height, width)
    convention = architecture.convention
    sides = (round_up(max(min(side, s), convention.min_size), convention.multiple_of) for s in (height, width))
    pixels = kept = next(sides) * next(sides)
    if convention.remembers_frames:  # of every tile, while it works on one
        kept = max(pixels, tiled_pixels(height, width, plan.tile, plan.tile_overlap))
    frames = round_up(plan.window + convention.lost_before + convention.lost_after, convention.frames_multiple_of)
    # Autocast halves the activations, while sums, copies and the frames themselves stay float32.
    scale = 1.0 if dtype == torch.float32 else 0.7
    together = plan.together if convention.remembers_frames else 1
    work, memory = (
        architecture.bytes_per_pixel * pixels * together,
        architecture.bytes_per_pixel_frame * kept * frames,
    )
    return int(scale * (work + memory))


def buffer_memory(plan: Plan, height: int, width: int) -> int:
    """Bytes of main memory for the frames a stream holds: a window and what is new in the next, and its results."""
    # Windows that advance by a frame give one result at a time, others all of theirs at once.
    together = plan.window if plan.overlap < plan.window - 1 else plan.together
    held = PACKED_BYTES * (plan.window + together + PACKED_AHEAD) + DECODED_BYTES * plan.window
    return height * width * (held + FLOAT_BYTES * (2 * together + QUEUED))


def needed_memory(architecture: Architecture, plan: Plan, height: int, width: int, dtype: torch.dtype) -> int:
    """Bytes for both, the network and the frames of its stream."""
    return estimate_memory(architecture, plan, height, width, dtype) + buffer_memory(plan, height, width)


def choose_plan(
    architecture: Architecture,
    height: int,
    width: int,
    compute: Compute,
    *,
    window: int | None = None,
    tile: int | None = None,
    strength: float = 1.0,
    guard: bool = True,
    scene_cut: bool = True,
    max_memory: int | None = None,
) -> Plan:
    """The largest windows and tiles that fit; what is given is taken as given.

    Args:
        height, width: of the frames, in pixels.
        window: frames a window, None to choose.
        tile: side of a tile in pixels, None to choose.
        max_memory: bytes, None for what is available.
    """
    frames = architecture.window if window is None else window
    plan = Plan(
        window=frames,
        overlap=architecture.overlap_of(frames),
        tile=tile,
        tile_overlap=0 if tile is None else min(architecture.tile_overlap, tile // 3),
        strength=strength,
        guard=guard,
        scene_cut=scene_cut,
        max_memory=max_memory,
        together=frames_together(compute.device),
    )
    while not fits(architecture, plan, height, width, compute):
        lesser = _lesser(plan, height, width, architecture, free_window=window is None, free_tile=tile is None)
        if lesser is None:
            break
        plan = lesser
    return plan


def fits(architecture: Architecture, plan: Plan, height: int, width: int, compute: Compute) -> bool:
    """Whether a plan's estimated needs stay within the usable share of the memory there is."""
    network = estimate_memory(architecture, plan, height, width, compute.dtype)
    frames = buffer_memory(plan, height, width)
    device_free = available_memory(compute.device, plan.max_memory) * USABLE
    if compute.device.type == "cuda":
        judged = JUDGED_BYTES * plan.together * height * width
        return network + frames // 2 + judged <= device_free and frames <= available_host_memory() * USABLE
    return network + frames <= device_free


def shortage(architecture: Architecture, plan: Plan, height: int, width: int, compute: Compute) -> str | None:
    """That a plan, which may be the smallest there is, has too little memory, in words; None where it fits.

    Where a container's limit is passed the system ends the process, and nobody can say anything any more.
    """
    if fits(architecture, plan, height, width, compute):
        return None
    needed = needed_memory(architecture, plan, height, width, compute.dtype)
    return short_of(f"{plan} beside the encoder", needed, available_memory(compute.device, plan.max_memory))


def _lesser(
    plan: Plan, height: int, width: int, architecture: Architecture, *, free_window: bool, free_tile: bool
) -> Plan | None:
    """The next plan to consider: fewer frames at a time, tiles down to a comfortable side, then windows to half the
    default, then both on.

    Of a network that remembers frames tiles get smaller while its work on one takes more than its memory, which
    smaller tiles only enlarge.
    """
    if (half_as_many := plan.fewer()) is not None:
        return half_as_many
    side = plan.tile or max(height, width)
    smallest = max(SMALLEST_TILE, architecture.convention.min_size)
    can_window = free_window and plan.window > 1
    remembers = architecture.convention.remembers_frames
    can_tile = free_tile and side > (COMFORTABLE_TILE if remembers and free_window else smallest)
    if remembers:
        work = architecture.bytes_per_pixel * min(side, height) * min(side, width)
        memory = architecture.bytes_per_pixel_frame * height * width * plan.window
        prefer_window = plan.window > SHORTEST_WINDOW and 2 * work < memory
    else:
        prefer_window = side <= COMFORTABLE_TILE and plan.window > max(architecture.window // 2, 2)
    if can_window and (prefer_window or not can_tile):
        fewer = plan.window - 1
        return replace(plan, window=fewer, overlap=architecture.overlap_of(fewer))
    if not can_tile:
        return None
    lesser = _one_row_more(side, min(height, width), architecture.tile_overlap) if remembers else side * 3 // 4
    tile = max(smallest, round_up(lesser, 16))
    tile = tile if tile < side else smallest
    return replace(plan, tile=tile, tile_overlap=min(architecture.tile_overlap, tile // 3))


def _one_row_more(side: int, short: int, overlap: int) -> int:
    """Side of tiles that cover the short side with one more of them, so that none overlap more than they must."""
    if side >= short + 16:  # they are rounded up to multiples of 16
        return short
    rows = max(1, -(-(short - overlap) // max(1, side - overlap)))
    return -(-(short - overlap) // (rows + 1)) + overlap
