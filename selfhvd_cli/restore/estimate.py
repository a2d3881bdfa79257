"""Estimate: how long a plan will take on this machine, from a short run on a small picture."""

from __future__ import annotations

import time
from dataclasses import replace

import torch

from selfhvd_cli.device import Compute
from selfhvd_cli.restore.architectures import Architecture
from selfhvd_cli.restore.engine import Engine
from selfhvd_cli.restore.held import Packed
from selfhvd_cli.restore.plan import Plan
from selfhvd_cli.restore.restorer import Restorer
from selfhvd_cli.restore.tiles import tiled_pixels

PROBE_SIDE = 256
"""Side of the picture that is tried: large enough that the fixed costs of a call do not count."""

PROBE_FRAMES = 8
"""Frames that are tried at most: what a frame costs hardly depends on how many there are."""


def seconds_a_frame(
    restorer: Restorer, row: Architecture, plan: Plan, compute: Compute, height: int, width: int
) -> float:
    """Seconds the network will take for one frame of the video, overlaps of windows and tiles included.

    Args:
        restorer: on `compute.device`, in eval mode.
        height, width: of the frames, in pixels.
    """
    side = (min(PROBE_SIDE, height), min(PROBE_SIDE, width))
    count = min(PROBE_FRAMES, plan.window)
    kept = max(1, count // 2) if row.selects_frames else count
    keep = slice((count - kept) // 2, (count - kept) // 2 + kept)
    # Noise, for on a blank picture a network that looks for motion may have less to do.
    generator = torch.Generator().manual_seed(0)
    frames = [Packed.of(frame) for frame in torch.rand(count, 3, *side, generator=generator)]
    engine = Engine(restorer, replace(plan, window=count, overlap=min(plan.overlap, count - 1)), compute)
    engine.restore(frames, keep)  # the first call pays for allocation and the choice of kernels
    started = time.perf_counter()
    engine.restore(frames, keep)
    each = (time.perf_counter() - started) / kept
    # A network that selects computes every frame once; the others compute the overlaps of windows twice.
    repeated = 1.0 if row.selects_frames else plan.window / (plan.window - plan.overlap)
    return each * repeated * tiled_pixels(height, width, plan.tile, plan.tile_overlap) / (side[0] * side[1])
