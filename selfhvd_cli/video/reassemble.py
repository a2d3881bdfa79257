"""Lays an mp4 or mov file out anew, in place: file type, movie header, samples, what its owner put beside them."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

from selfhvd_cli.video.boxes import Box, Extent, chunk_offsets, chunk_sizes, read_extent, set_chunk_offsets
from selfhvd_cli.video.donor import TABLES, Donor

BLOCK = 1 << 23

STRUCTURE = frozenset(
    (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"moof", b"mfra", b"sidx", b"styp", b"pnot")
)
"""Top-level boxes that are the container's own; all others belong to the owner of the file."""

FRAGMENTS = frozenset(b"mvhd tkhd mdhd hdlr traf trun tfhd tfdt tref dref keys ilst avcC hvcC esds colr".split())
"""Boxes that stand inside others; at the top level of a damaged file they are none of the owner's."""


def assemble(
    source: Donor,
    output: Path,
    top: list[Extent],
    movie: Box,
    muxed: list[Box],
    carried: list[tuple[Box, Box]],
    brands: bool,
) -> None:
    """Write the new movie header to the front of `output`, carried samples and the owner's boxes to its end.

    Args:
        top: the boxes of `output`, its movie header last.
        movie: the new one.
        muxed: its tracks whose samples are in the file.
        carried: its other tracks, each with its original.
        brands: take the source's file type.

    Raises:
        ValueError: the file is not built as expected.
    """
    header = next(each for each in top if each.kind == b"moov")
    begin = next(each for each in top if each.kind == b"mdat").start
    if any(each.kind == b"mdat" and each.start > header.start for each in top):
        raise ValueError("samples were written behind the movie header")
    with source.path.open("rb") as donor_file, output.open("r+b") as file:
        file_type = _file_type(source, donor_file, file, top, brands)
        file.truncate(header.start)
        carried_at = _append_samples(donor_file, file, carried)
        _append_owner_boxes(source, donor_file, file)
        end = file.seek(0, 2)
        wide = end + BLOCK + len(movie.bytes()) * 2 > 0xFFFFFFFF
        for track in muxed:
            set_chunk_offsets(track, chunk_offsets(track), wide)
        for (track, _), offsets in zip(carried, carried_at, strict=True):
            set_chunk_offsets(track, offsets, wide)
        shift = len(file_type) + len(movie.bytes()) - begin
        for track in (*muxed, *(track for track, _ in carried)):
            set_chunk_offsets(track, [offset + shift for offset in chunk_offsets(track)], wide)
        _move_up(file, begin, end, shift)
        file.seek(0)
        file.write(file_type + movie.bytes())
        file.flush()
        os.fsync(file.fileno())


def _file_type(source: Donor, donor_file: BinaryIO, file: BinaryIO, top: list[Extent], brands: bool) -> bytes:
    """The source's own file type where the output is of its kind and codec, so that its brands stay as they were."""
    theirs = [each for each in source.top if each.kind == b"ftyp"]
    if brands and theirs:
        return read_extent(donor_file, theirs[0])
    ours = [each for each in top if each.kind == b"ftyp"]
    return read_extent(file, ours[0]) if ours else b""


def _append_samples(donor_file: BinaryIO, file: BinaryIO, carried: list[tuple[Box, Box]]) -> list[list[int]]:
    """Append the samples of carried tracks in a box of their own; where each chunk came to lie, for each track."""
    total = sum(sum(chunk_sizes(original)) for _, original in carried)
    file.seek(0, 2)
    if total:
        file.write(struct.pack(">I4sQ", 1, b"mdat", total + 16))
    placed = []
    for _, original in carried:
        offsets = []
        for start, length in zip(chunk_offsets(original), chunk_sizes(original), strict=True):
            offsets.append(file.tell())
            _copy(donor_file, file, start, length)
        placed.append(offsets)
    return placed


def _append_owner_boxes(source: Donor, donor_file: BinaryIO, file: BinaryIO) -> None:
    """Append what is beside the movie: XMP, vendor trailers such as Samsung's slow motion points."""
    for extent in source.top:
        if extent.kind not in STRUCTURE | TABLES | FRAGMENTS:
            _copy(donor_file, file, extent.start, extent.end - extent.start)


def _copy(source: BinaryIO, target: BinaryIO, start: int, length: int) -> None:
    source.seek(start)
    while length > 0:
        block = source.read(min(BLOCK, length))
        if not block:
            raise ValueError("the source has become shorter")
        target.write(block)
        length -= len(block)


def _move_up(file: BinaryIO, begin: int, end: int, shift: int) -> None:
    """Move the bytes from `begin` to `end` by `shift`, without a second copy of the file."""
    if shift < 0:
        raise ValueError("the new header is smaller than the gap")
    at = end
    while at > begin:
        start = max(begin, at - BLOCK)
        file.seek(start)
        block = file.read(at - start)
        file.seek(start + shift)
        file.write(block)
        at = start
