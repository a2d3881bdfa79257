"""The small good files that the fuzzer damages: one for each container and way through the reader and the writer."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "video"))

from video_clips import Recipe, make

ROTATED = (0, 65536, 0, -65536, 0, 0, 0, 0, 1073741824)
TAGS = {"creation_time": "2024-01-24T14:50:14.000000Z", "com.apple.quicktime.make": "Apple", "comment": "a day"}

RECIPES = {
    "phone.mp4": Recipe(
        frames=6, matrix=ROTATED, tags=TAGS, chapters=((0, 100, "one"), (100, 200, "two")), sound_delay=441
    ),
    "uneven.mov": Recipe(frames=5, ticks=(0, 21, 39, 70, 82), tags=TAGS, codec="libx265"),
    "ten_bit.mkv": Recipe(
        frames=4, codec="libx265", pixel_format="yuv420p10le", time_base=Fraction(1, 1000), color=(9, 18, 9, 1)
    ),
    "plain.mkv": Recipe(frames=6, time_base=Fraction(1, 1000), tags={"title": "a"}, chapters=((0, 150, "x"),)),
    "vp9.webm": Recipe(frames=4, codec="libvpx-vp9", time_base=Fraction(1, 1000), sound=False),
    "motion.avi": Recipe(
        frames=4, codec="mjpeg", pixel_format="yuvj420p", color=(2, 2, 5, 2), time_base=Fraction(1, 30), sound=False
    ),
    "broadcast.ts": Recipe(frames=6, time_base=Fraction(1, 90000)),
    "pictures.mov": Recipe(frames=3, codec="png", pixel_format="rgb24", color=(2, 2, 2, 0), sound=False),
}


def make_seeds(folder: Path) -> dict[str, bytes]:
    """The contents of every seed, by file name."""
    return {name: make(folder / name, recipe).read_bytes() for name, recipe in RECIPES.items()}
