"""The parts that PNG and JPEG files are made of: chunks in one, segments in the other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8"

SCAN = b"\xff\xda"
"""The segment behind which a JPEG's pixels lie, and parts no more."""

MOST_PARTS = 100_000
"""Those behind them do not count: no camera writes so many, and a hostile file may have any number."""

FILL = 0xFF
"""What JPEG markers begin with, and what any number of may stand before them."""

BARE = frozenset(range(0xD0, 0xD8)) | {0x01}
"""Second bytes of markers that no length follows; none comes before the pixels."""


@dataclass(frozen=True)
class Part:
    """A chunk or segment, as places in the file."""

    kind: bytes
    """The four letters of a chunk, the two bytes of a marker."""

    begin: int
    start: int
    """Of what it holds, behind its kind and length."""

    stop: int
    end: int

    def head(self, file: BinaryIO, length: int) -> bytes:
        """The first bytes of what it holds."""
        return _read(file, self.start, min(length, self.stop - self.start))

    def raw(self, file: BinaryIO) -> bytes:
        """All of it."""
        return _read(file, self.begin, self.end - self.begin)


def parts(file: BinaryIO) -> Iterator[Part]:
    """The parts of a PNG or JPEG file in their order, those of a JPEG up to its pixels; of other files none.

    A part that is cut off ends them.
    """
    size = file.seek(0, os.SEEK_END)
    signature = _read(file, 0, len(PNG))
    if signature == PNG:
        found = _chunks(file)
    elif signature.startswith(JPEG):
        found = _segments(file)
    else:
        return
    for part in islice(found, MOST_PARTS):
        if part.end > size:
            return
        yield part


def _chunks(file: BinaryIO) -> Iterator[Part]:
    at = len(PNG)
    while len(header := _read(file, at, 8)) == 8:
        start = at + 8
        stop = start + int.from_bytes(header[:4], "big")
        yield Part(header[4:], at, start, stop, stop + 4)
        at = stop + 4


def _segments(file: BinaryIO) -> Iterator[Part]:
    at = len(JPEG)
    for _ in range(MOST_PARTS):
        header = _read(file, at, 4)
        if len(header) < 4 or header[0] != FILL or header[1] in BARE or header[:2] == SCAN:
            return
        if header[1] == FILL:
            at += 1
            continue
        end = at + 2 + max(2, int.from_bytes(header[2:], "big"))
        yield Part(header[:2], at, at + 4, end, end)
        at = end


def _read(file: BinaryIO, start: int, length: int) -> bytes:
    file.seek(start, os.SEEK_SET)
    return file.read(length)
