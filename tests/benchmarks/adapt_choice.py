"""The choice of sharp frames: part d of the benchmark of `adapt`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from adapt_clips import Size

from selfhvd_cli.ops.sharpness import sharpness
from selfhvd_cli.synthesis.clips import SHARP_EXTENT, draw_clip
from selfhvd_cli.synthesis.pool import read_photos
from selfhvd_cli.training.sharpness import find_sharp_frames

CLEARLY_BLURRED = 2 * SHARP_EXTENT
"""Blur in pixels above which nobody calls a frame sharp; between the two limits people differ."""


def part_d(photos: Path, names: Sequence[str], size: Size, count: int) -> None:
    """The choice of sharp frames against the known blur.

    The paper compares with labels given by hand. Here the blur's length, known from the trajectory, takes their
    place: up to `SHARP_EXTENT` a frame is sharp, above `CLEARLY_BLURRED` it is blurred, and what lies between is
    judged only in the last column, which calls everything above `SHARP_EXTENT` blurred.
    """
    print(f"\n(d) sharp frames, {count} clips (paper, by hand: 71.03, 88.51, 96.77, 98.28 % for 5, 10, 20, 30)")
    found: dict[int, list[tuple[bool, float]]] = {segment: [] for segment in (5, 10, 20, 30)}
    for number in range(count):
        drawn = draw_clip(
            read_photos([photos / names[number % len(names)]]), (size.height, size.width), size.frames, 500 + number,
            severity=size.severity, things=0,
        )  # fmt: skip
        frames = torch.stack([torch.from_numpy(drawn.frame(i).blurry).permute(2, 0, 1) for i in range(size.frames)])
        scores = sharpness(frames.float() / 255).tolist()
        for segment, pairs in found.items():
            chosen = set(find_sharp_frames(scores, segment).indices)
            pairs += [(index in chosen, extent) for index, extent in enumerate(drawn.extents())]
    for segment, pairs in found.items():
        clear = [(chosen, extent) for chosen, extent in pairs if not SHARP_EXTENT < extent <= CLEARLY_BLURRED]
        figures = {
            "frames judged rightly": [chosen == (extent <= SHARP_EXTENT) for chosen, extent in clear],
            "chosen that are sharp": [extent <= SHARP_EXTENT for chosen, extent in clear if chosen],
            "sharp that are chosen": [chosen for chosen, extent in clear if extent <= SHARP_EXTENT],
            "with doubtful ones as blurred": [chosen == (extent <= SHARP_EXTENT) for chosen, extent in pairs],
        }
        cells = ", ".join(f"{name} {100 * np.mean(each):.2f} %" for name, each in figures.items())
        print(f"segment {segment:2d}: {cells} ({len(clear)} of {len(pairs)} frames are clear)", flush=True)
