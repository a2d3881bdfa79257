"""Which files of a folder are the frames of a clip, and in which order; known without decoding any."""

from __future__ import annotations

import re
from pathlib import Path

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")


def natural_key(path: Path) -> tuple[tuple[int, int | str], ...]:
    """Sort key that puts frame 10 after frame 9."""
    parts = re.split(r"(\d+)", path.name.lower())
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in parts if part)


def frame_paths(folder: Path) -> list[Path]:
    """The pictures of a folder in natural order."""
    found = [each for each in folder.iterdir() if each.suffix.lower() in SUFFIXES and not each.name.startswith(".")]
    return sorted(sorted(each for each in found if each.is_file()), key=natural_key)


def is_frames_folder(path: Path) -> bool:
    """Whether `path` is a folder that holds at least one picture."""
    return path.is_dir() and bool(frame_paths(path))


def is_frames_target(path: Path) -> bool:
    """Whether an output of this name is a folder of frames: one without a file suffix, or a folder already."""
    return path.is_dir() or path.suffix == ""
