"""Whether a video file is all there, or was cut off while it was recorded or copied."""

from __future__ import annotations

import struct
from pathlib import Path

from selfhvd_cli.video.boxes import chunk_offsets, chunk_sizes, extents, read_movie
from selfhvd_cli.video.claims import EBML, ISO_KINDS, SEGMENT, elements


def missing_bytes(path: Path) -> int:
    """How many bytes a file says it has beyond its end; 0 where it is whole, or does not say.

    In an mp4 or mov file the index tells where the last picture or sound would be; in others the header tells the
    length of all.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == EBML:
            ends = [end for kind, _, end in elements(file, 0, size) if kind == SEGMENT]
            return max([0, *(end - size for end in ends)])
        if head[:4] == b"RIFF" and len(head) == 12:
            return int(max(0, struct.unpack("<I", head[4:8])[0] + 8 - size))
    return _missing_samples(path, size) if head[4:8] in ISO_KINDS else 0


def has_index(path: Path) -> bool:
    """Whether the `moov` box of an mp4 or mov file is there; recorders write it last. True for other files."""
    with path.open("rb") as file:
        if file.read(8)[4:8] not in ISO_KINDS:
            return True
        return any(each.kind == b"moov" for each in extents(file))


def _missing_samples(path: Path, size: int) -> int:
    try:
        movie, top = read_movie(path)
        ends = [0]
        for track in movie.all(b"trak"):
            spans = zip(chunk_offsets(track), chunk_sizes(track), strict=True)
            ends.append(max((start + length for start, length in spans), default=0))
    except (ValueError, struct.error, IndexError):
        return 0
    if any(each.kind == b"moof" for each in top) and top[-1].kind == b"":
        with path.open("rb") as file:
            file.seek(top[-1].start)
            length, kind = struct.unpack(">I4s", file.read(8).ljust(8, b"\0"))
        if kind in (b"moof", b"mdat"):
            ends.append(top[-1].start + length)
    return max(0, max(ends) - size)
