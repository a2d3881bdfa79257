"""Boxes of ISO base media files (mp4, mov, 3gp; ISO/IEC 14496-12): read, changed, written."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

NESTED = frozenset((b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf"))
"""Boxes that hold nothing but boxes; all others are kept as bytes."""

LARGEST_MOOV = 1 << 29

EMPTY_EDIT = -1
"""Media time of an edit that shows nothing."""


@dataclass
class Box:
    """A box: either bytes or a list of boxes."""

    kind: bytes
    payload: bytes = b""
    children: list[Box] | None = None

    def find(self, *kinds: bytes) -> Box | None:
        """The first box at a path of kinds below this one."""
        here: Box | None = self
        for kind in kinds:
            here = next((each for each in here.children or () if each.kind == kind), None) if here else None
        return here

    def need(self, *kinds: bytes) -> Box:
        """Like `find`, for boxes the format demands; ValueError where one is missing."""
        found = self.find(*kinds)
        if found is None:
            raise ValueError(f"box {b'/'.join(kinds).decode('latin-1')} is missing")
        return found

    def all(self, kind: bytes) -> list[Box]:
        return [each for each in self.children or () if each.kind == kind]

    def replace(self, kind: bytes, new: Box | None) -> None:
        """Put `new` in the place of the boxes of a kind, at the end if there are none; None removes them."""
        assert self.children is not None
        place = next((i for i, each in enumerate(self.children) if each.kind == kind), len(self.children))
        self.children = [each for each in self.children if each.kind != kind]
        if new is not None:
            self.children.insert(place, new)

    def bytes(self) -> bytes:
        body = self.payload if self.children is None else b"".join(each.bytes() for each in self.children)
        return struct.pack(">I4s", len(body) + 8, self.kind) + body

    def copy(self) -> Box:
        return parse(self.bytes())[0]


def parse(data: bytes) -> list[Box]:
    """The boxes that follow one another in `data`; ValueError where they do not fit."""
    return [
        Box(kind, b"", parse(data[start:end])) if kind in NESTED else Box(kind, data[start:end])
        for kind, start, end in _spans(data)
    ]


def _spans(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, at + 8)
            head = 16
        elif size == 0:
            size = len(data) - at
        if size < head or at + size > len(data):
            if not data[at:].strip(b"\0"):
                return  # QuickTime ends some lists with zeros
            raise ValueError(f"box {kind!r} of {size} bytes does not fit")
        yield kind, at + head, at + size
        at += size


@dataclass(frozen=True)
class Extent:
    """Where a top-level box lies in a file."""

    kind: bytes
    start: int
    end: int


def extents(file: BinaryIO) -> list[Extent]:
    """The top-level boxes of a file; bytes behind them that are no box come last, with an empty kind."""
    size = file.seek(0, 2)
    found = []
    at = 0
    while at + 8 <= size:
        file.seek(at)
        header = file.read(16)
        length, kind = struct.unpack_from(">I4s", header)
        if length == 1 and len(header) == 16:
            (length,) = struct.unpack_from(">Q", header, 8)
        elif length == 0:
            length = size - at
        if length < 8 or at + length > size or not kind.isascii():
            break
        found.append(Extent(kind, at, at + length))
        at += length
    if at < size:
        found.append(Extent(b"", at, size))
    return found


def read_extent(file: BinaryIO, extent: Extent) -> bytes:
    """The bytes of a top-level box, header included."""
    file.seek(extent.start)
    return file.read(extent.end - extent.start)


def read_movie(path: Path) -> tuple[Box, list[Extent]]:
    """The `moov` box of a file and its top level; ValueError where it is no plain ISO file."""
    with path.open("rb") as file:
        top = extents(file)
        found = [each for each in top if each.kind == b"moov"]
        if len(found) != 1 or found[0].end - found[0].start > LARGEST_MOOV:
            raise ValueError("not one readable moov box")
        return parse(read_extent(file, found[0]))[0], top


# -- fields of header boxes


def get_header(box: Box) -> tuple[int, int, int, int]:
    """(creation, modification, timescale or track ID, duration) of an mvhd, mdhd or tkhd box."""
    data = box.payload
    if data[0] == 1:
        creation, changed, number = struct.unpack_from(">QQI", data, 4)
        (duration,) = struct.unpack_from(">Q", data, 28 if box.kind == b"tkhd" else 24)
    else:
        creation, changed, number = struct.unpack_from(">III", data, 4)
        (duration,) = struct.unpack_from(">I", data, 20 if box.kind == b"tkhd" else 16)
    return creation, changed, number, duration


def set_header(
    box: Box,
    creation: int | None = None,
    changed: int | None = None,
    number: int | None = None,
    duration: int | None = None,
) -> None:
    """Change fields of an mvhd, mdhd or tkhd box, in its 64-bit form where a value asks for it."""
    old = get_header(box)
    new = (creation, changed, number, duration)
    values = [was if value is None else value for value, was in zip(new, old, strict=True)]
    data = box.payload
    pad = b"\0\0\0\0" if box.kind == b"tkhd" else b""
    rest = data[(32 if data[0] == 1 else 20) + len(pad) :]
    if data[0] == 1 or max(values) > 0xFFFFFFFF:
        head = b"\1" + data[1:4] + struct.pack(">QQI", *values[:3]) + pad + struct.pack(">Q", values[3])
    else:
        head = b"\0" + data[1:4] + struct.pack(">III", *values[:3]) + pad + struct.pack(">I", values[3])
    box.payload = head + rest


# -- edit lists


@dataclass(frozen=True)
class Edit:
    """A stretch of the movie that shows a stretch of a track."""

    duration: int
    """In the movie's timescale."""

    media_time: int
    """Where it begins in the track's timescale; `EMPTY_EDIT` for a gap."""

    rate: int = 0x10000


def get_edits(track: Box) -> list[Edit]:
    """The edit list of a `trak` box; empty where it has none."""
    box = track.find(b"edts", b"elst")
    if box is None:
        return []
    form = ">Qqi" if box.payload[0] == 1 else ">Iii"
    (count,) = struct.unpack_from(">I", box.payload, 4)
    if 8 + count * struct.calcsize(form) > len(box.payload):
        raise ValueError("edit list is cut short")
    return [Edit(*struct.unpack_from(form, box.payload, 8 + i * struct.calcsize(form))) for i in range(count)]


def set_edits(track: Box, edits: Iterable[Edit]) -> None:
    """Give a `trak` box an edit list, in place of the one it has."""
    rows = list(edits)
    if not rows:
        track.replace(b"edts", None)
        return
    wide = any(edit.duration > 0xFFFFFFFF or edit.media_time > 0x7FFFFFFF for edit in rows)
    form = ">Qqi" if wide else ">Iii"
    body = b"".join(struct.pack(form, edit.duration, edit.media_time, edit.rate) for edit in rows)
    payload = struct.pack(">II", 0x01000000 if wide else 0, len(rows)) + body
    new = Box(b"edts", b"", [Box(b"elst", payload)])
    if track.find(b"edts") is not None:
        track.replace(b"edts", new)
    else:
        assert track.children is not None
        track.children.insert(1, new)


# -- sample tables


def sample_sizes(track: Box) -> list[int] | tuple[int, int]:
    """The size of each sample of a `trak` box, or (size, count) where all have one size."""
    table = track.need(b"mdia", b"minf", b"stbl")
    box = table.find(b"stsz")
    if box is not None:
        size, count = struct.unpack_from(">II", box.payload, 4)
        if size:
            return size, count
        return list(struct.unpack_from(f">{count}I", box.payload, 12))
    box = table.need(b"stz2")
    bits, count = struct.unpack_from(">3xBI", box.payload, 4)
    if bits == 4:
        pairs = [(byte >> 4, byte & 15) for byte in box.payload[12 : 12 + (count + 1) // 2]]
        return [size for pair in pairs for size in pair][:count]
    return list(struct.unpack_from(f">{count}{'B' if bits == 8 else 'H'}", box.payload, 12))


def chunk_offsets(track: Box) -> list[int]:
    """Where the chunks of a `trak` box lie in its file."""
    table = track.need(b"mdia", b"minf", b"stbl")
    for kind, letter in ((b"stco", "I"), (b"co64", "Q")):
        box = table.find(kind)
        if box is not None:
            (count,) = struct.unpack_from(">I", box.payload, 4)
            return list(struct.unpack_from(f">{count}{letter}", box.payload, 8))
    raise ValueError("box stco is missing")


def set_chunk_offsets(track: Box, offsets: list[int], wide: bool) -> None:
    """Write new chunk offsets, 64 bits each if `wide`."""
    table = track.need(b"mdia", b"minf", b"stbl")
    payload = struct.pack(f">II{len(offsets)}{'Q' if wide else 'I'}", 0, len(offsets), *offsets)
    new = Box(b"co64" if wide else b"stco", payload)
    old = b"stco" if table.find(b"stco") is not None else b"co64"
    table.replace(old, new)


def chunk_sizes(track: Box) -> list[int]:
    """How many bytes each chunk of a `trak` box has."""
    table = track.need(b"mdia", b"minf", b"stbl")
    box = table.need(b"stsc")
    (count,) = struct.unpack_from(">I", box.payload, 4)
    runs = [struct.unpack_from(">III", box.payload, 8 + 12 * i) for i in range(count)]
    chunks = len(chunk_offsets(track))
    sizes = sample_sizes(track)
    result = []
    sample = 0
    for number, (first, per_chunk, _) in enumerate(runs):
        last = runs[number + 1][0] if number + 1 < len(runs) else chunks + 1
        for _ in range(first, min(last, chunks + 1)):
            if isinstance(sizes, tuple):
                result.append(sizes[0] * min(per_chunk, sizes[1] - sample))
            else:
                result.append(sum(sizes[sample : sample + per_chunk]))
            sample += per_chunk
    if len(result) != chunks:
        raise ValueError("chunk tables contradict each other")
    return result
