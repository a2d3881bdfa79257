"""A source mp4 or mov file whose boxes can be carried over to another."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from selfhvd_cli.video.boxes import (
    NESTED,
    Box,
    Extent,
    chunk_offsets,
    chunk_sizes,
    get_edits,
    get_header,
    parse,
    read_extent,
    read_movie,
)

TABLES = NESTED | frozenset(b"stsd stts ctts stsc stsz stz2 stco co64 stss elst".split())
"""Kinds that are no references, whatever box they stand in: players would take them for the track's own."""

LARGEST_NUMBER = 0x7FFFFFFF
"""Of a track; FFmpeg takes a larger one for negative, and no number is left for a track that is added."""


@dataclass(frozen=True)
class Donor:
    """A source file whose boxes can be carried over."""

    path: Path
    movie: Box
    top: tuple[Extent, ...]
    quicktime: bool
    """A `qt  ` file: its tags and sound descriptions have another form than those of mp4."""

    timescale: int

    def track(self, track_id: int) -> Box | None:
        return next((each for each in self.movie.all(b"trak") if number_of(each) == track_id), None)

    def kind_of(self, track_id: int) -> str:
        """The four letters of a track's sample description, for messages."""
        track = self.track(track_id)
        table = track.find(b"mdia", b"minf", b"stbl", b"stsd") if track is not None else None
        return table.payload[12:16].decode("latin-1") if table is not None else "unknown"


def donor(path: Path) -> Donor | None:
    """The source as a donor; None where it is no whole, unfragmented mp4 or mov file with tables that hold."""
    try:
        movie, top = read_movie(path)
        if movie.find(b"cmov") is not None:
            return None
        if any(each.kind in (b"moof", b"styp") for each in top):
            return None
        if movie.find(b"mvex") is not None and not top[-1].kind:
            return None  # fragments were announced, and damage may have made unknown bytes of them
        size = path.stat().st_size
        for track in movie.all(b"trak"):
            get_edits(track)
            if number_of(track) > LARGEST_NUMBER:
                return None
            get_header(track.need(b"mdia", b"mdhd"))
            track.need(b"mdia", b"hdlr")
            if not _refers(track):
                track.replace(b"tref", None)
            if not _self_contained(track):
                return None
            for start, length in zip(chunk_offsets(track), chunk_sizes(track), strict=True):
                if start + length > size:
                    return None
        brand = b"qt  "
        with path.open("rb") as file:
            for extent in top:
                if extent.kind == b"ftyp":
                    brand = read_extent(file, extent)[8:12]
        timescale = get_header(movie.need(b"mvhd"))[2]
    except (ValueError, OSError, struct.error, IndexError):
        return None
    if timescale <= 0:
        return None
    return Donor(path, movie, tuple(top), brand == b"qt  ", timescale)


def number_of(track: Box) -> int:
    """The container's own number of a track."""
    return get_header(track.need(b"tkhd"))[2]


def _refers(track: Box) -> bool:
    """Whether what a track says of others, such as the one with its chapters' names, can be read."""
    box = track.find(b"tref")
    try:
        return box is not None and all(len(each.payload) % 4 == 0 for each in parse(box.payload))
    except ValueError:
        return False


def _self_contained(track: Box) -> bool:
    """Whether the samples lie in the file itself."""
    box = track.find(b"mdia", b"minf", b"dinf", b"dref")
    if box is None:
        return False
    return all(entry.payload[3] & 1 for entry in parse(box.payload[8:]) if len(entry.payload) > 3)
