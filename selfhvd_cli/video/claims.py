"""Refuses a file whose header claims more than the file can hold, before a demuxer takes memory or time for it.

FFmpeg believes counts: an index of fixed-size samples is laid out for as many as a header names, and every tag is
compared with all tags before it, so that a million of them take hours. Both fit into a file of a few kilobytes or
megabytes. The checks read headers only; what they cannot read is left to the demuxer to refuse.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from selfhvd_cli.errors import InputFault

MOST_TAGS = 10_000
"""Reading so many takes FFmpeg 0.7 s, ten times as many a minute."""

MOST_TRACKS = 500
MOST_SAMPLES = 5_000_000
"""Samples of an index that may be claimed whatever the size of the file: a day of video, 150 MiB of memory."""

LARGEST_MOVIE = 256 << 20
"""Bytes of an mp4 header; that of two hours has 10 MiB."""

LARGEST_ELEMENT = {b"\x12\x54\xc3\x67": 1 << 20, b"\x16\x54\xae\x6b": 8 << 20, b"\x10\x43\xa7\x70": 8 << 20}
"""Bytes of the tags, the track headers and the chapters of a Matroska file."""

ISO_KINDS = frozenset((b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp", b"moof", b"uuid"))
EBML = b"\x1a\x45\xdf\xa3"
SEGMENT = b"\x18\x53\x80\x67"

NESTED = frozenset((b"moov", b"trak", b"mdia", b"minf", b"stbl", b"udta", b"meta", b"ilst"))
DEEPEST = 10

Span = tuple[bytes, int, int]
"""Kind of a box or element, where its content begins and ends."""


def refuse_impossible_claims(path: Path) -> None:
    """Check the headers of an mp4, mov or Matroska file; other kinds pass.

    Raises:
        InputFault: a count in them is absurd.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        if head[4:8] in ISO_KINDS:
            claim = _iso_claim(file, size)
        elif head[:4] == EBML:
            claim = _matroska_claim(file, size)
        else:
            claim = None
    if claim is not None:
        raise InputFault(
            f"{path}: its header claims {claim}; no recording has so many, the file is damaged or hostile."
        )


def _iso_claim(file: BinaryIO, size: int) -> str | None:
    for kind, start, end in _boxes(file, 0, size):
        claim = None
        if kind == b"moov":
            if end - start > LARGEST_MOVIE:
                return f"{(end - start) >> 20} MiB of tables"
            claim = _movie_claim(file, start, end, size)
        elif kind == b"moof" and end - start < LARGEST_MOVIE:
            claim = _fragment_claim(_read(file, start, end - start), size)
        if claim is not None:
            return claim
    return None


def _movie_claim(file: BinaryIO, start: int, end: int, size: int, depth: int = 0) -> str | None:
    tracks = 0
    for count, (kind, first, last) in enumerate(_boxes(file, start, end), 1):
        tracks += kind == b"trak"
        if tracks > MOST_TRACKS:
            return f"more than {MOST_TRACKS} tracks"
        if count > MOST_TAGS:
            return f"more than {MOST_TAGS} tags"
        claim = None
        if kind == b"keys":
            claim = _too_many_tags(_numbers(file, first, last, 4))
        elif kind in (b"stsz", b"stz2"):
            claim = _table_claim(_numbers(file, first, last, 4, 8), kind, size)
        elif kind in NESTED and depth < DEEPEST:
            skip = 4 if kind == b"meta" and _read(file, first, 4) == bytes(4) else 0
            claim = _movie_claim(file, first + skip, last, size, depth + 1)
        if claim is not None:
            return claim
    return None


def _too_many_tags(numbers: tuple[int, ...]) -> str | None:
    return f"{numbers[0]} tags" if numbers and numbers[0] > MOST_TAGS else None


def _table_claim(numbers: tuple[int, ...], kind: bytes, size: int) -> str | None:
    """Sizes that are all the same take no room in the file, whatever their count."""
    if len(numbers) < 2 or (kind == b"stsz" and numbers[0] == 0):
        return None
    return f"{numbers[1]} samples" if numbers[1] > max(MOST_SAMPLES, size) else None


def _fragment_claim(data: bytes, size: int) -> str | None:
    """Runs of samples that state nothing of each take no room either."""
    at = data.find(b"trun")
    while at >= 0:
        if at + 12 <= len(data):
            flags, count = struct.unpack_from(">II", data, at + 4)
            if not flags & 0xF00 and count > max(MOST_SAMPLES, size):
                return f"{count} samples in a fragment"
        at = data.find(b"trun", at + 4)
    return None


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[Span]:
    """The boxes between two places; the last may be cut short."""
    at = start
    while at + 8 <= end:
        header = _read(file, at, 16)
        if len(header) < 8:
            return
        length, kind = struct.unpack_from(">I4s", header)
        content = at + 8
        if length == 1 and len(header) == 16:
            (length,) = struct.unpack_from(">Q", header, 8)
            content = at + 16
        elif length == 0:
            length = end - at
        if at + length < content:
            return
        yield kind, content, min(at + length, end)
        at += length


def _matroska_claim(file: BinaryIO, size: int) -> str | None:
    for kind, start, end in elements(file, 0, size):
        if kind != SEGMENT:
            continue
        for inner, first, last in elements(file, start, min(end, size)):
            if last - first > LARGEST_ELEMENT.get(inner, last - first):
                return f"{(last - first) >> 10} KiB of tags, tracks or chapters"
    return None


def elements(file: BinaryIO, start: int, end: int) -> Iterator[Span]:
    """The elements between two places of a Matroska file, up to one that does not say how long it is.

    An element may claim to end behind `end`; a live recording ends nowhere.
    """
    at = start
    while at + 2 <= end:
        header = _read(file, at, 12)
        width = 9 - header[0].bit_length() if header else 9
        if width > 4 or len(header) <= width:
            return
        kind, rest = header[:width], header[width:]
        digits = 9 - rest[0].bit_length()
        if digits > 8 or len(rest) < digits:
            return
        length = int.from_bytes(rest[:digits], "big") & ((1 << (7 * digits)) - 1)
        content = at + width + digits
        if length == (1 << (7 * digits)) - 1:
            if kind == SEGMENT:
                yield kind, content, end
            return
        yield kind, content, content + length
        at = content + length


def _numbers(file: BinaryIO, start: int, end: int, *places: int) -> tuple[int, ...]:
    """32-bit numbers at places of a box; fewer where it is too short."""
    data = _read(file, start, min(end - start, max(places) + 4))
    return tuple(struct.unpack_from(">I", data, place)[0] for place in places if place + 4 <= len(data))


def _read(file: BinaryIO, start: int, length: int) -> bytes:
    file.seek(start, os.SEEK_SET)
    return file.read(length)
