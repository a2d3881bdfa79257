"""Contents of a clip as a hash: the same clip, wherever it lies and whatever it is called."""

from __future__ import annotations

import hashlib
from pathlib import Path

from selfhvd_cli.video.pictures.frame_paths import frame_paths, is_frames_folder


def contents_sha256(path: Path) -> str:
    """Hash of a file, or of a folder's frames and their names."""
    digest = hashlib.sha256()
    for part in frame_paths(path) if is_frames_folder(path) else [path]:
        if part != path:
            digest.update(part.name.encode())
        with part.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def contents_bytes(path: Path) -> int:
    """Bytes of a file, or of the files in a folder."""
    if path.is_dir():
        return sum(each.stat().st_size for each in path.iterdir() if each.is_file())
    return path.stat().st_size
