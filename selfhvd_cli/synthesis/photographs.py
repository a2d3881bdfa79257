"""Photographs of a file or folder, told from the frames of a video."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

from selfhvd_cli.errors import InputFault
from selfhvd_cli.video.opening import open_input
from selfhvd_cli.video.pictures.frame_paths import frame_paths

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")

NUMBER = re.compile(r"(\d+)(?=\D*$)")
"""The last number of a name without its suffix."""


def photographs_in(folder: Path) -> list[Path]:
    """The pictures of a folder and its subfolders, in the order of their paths; hidden ones are passed by."""
    return sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )


def photographs_of(source: Path) -> list[Path]:
    """The photographs that `source` is or holds; none for a video and for a folder of a video's frames."""
    if source.is_file():
        return [source] if source.suffix.lower() in SUFFIXES else []
    return [] if is_video_in_frames(source) else photographs_in(source)


def is_video_in_frames(folder: Path) -> bool:
    """Whether the pictures of a folder are a video: of one name but for a number that counts evenly, and of one size.

    An album has names of all kinds, gaps between them, or pictures of several sizes.
    """
    paths = frame_paths(folder)
    found = [match for path in paths if (match := NUMBER.search(path.stem))]
    if len(paths) < 2 or len(found) < len(paths):
        return False
    names = {(match.string[: match.start()], match.string[match.end() :]) for match in found}
    numbers = sorted(int(match[0]) for match in found)
    steps = {after - before for before, after in pairwise(numbers)}
    if len(names) > 1 or len(steps) > 1:
        return False
    size = _size(paths[0])
    return size is not None and all(_size(path) == size for path in paths[1:])


def _size(path: Path) -> tuple[int, int] | None:
    """Width and height by the picture's header; None where it has none."""
    try:
        with open_input(path) as file:
            stream = file.streams.video[0]
            return stream.width, stream.height
    except (InputFault, IndexError):
        return None
