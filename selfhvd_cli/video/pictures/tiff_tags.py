"""Numbers in the first directory of a TIFF structure: a TIFF file is one, and EXIF is."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from typing import BinaryIO

BYTE_ORDERS = {b"II*\x00": "<", b"MM\x00*": ">"}

LETTERS = {1: "B", 3: "H", 4: "I"}
"""Whole numbers by TIFF's types, as `struct` names them."""

MOST_NUMBERS = 16
"""A tag of more holds no property but data."""


def tiff_tags(file: BinaryIO, start: int = 0) -> Mapping[int, tuple[int, ...]]:
    """The tags of the directory and their numbers; none where a tag holds text or data.

    Args:
        start: where in the file the structure begins.

    Returns:
        Empty where there is no such structure, or none that can be read.
    """
    head = _read(file, start, 8)
    order = BYTE_ORDERS.get(head[:4])
    if order is None or len(head) < 8:
        return {}
    at = start + struct.unpack(f"{order}I", head[4:])[0]
    count = _read(file, at, 2)
    if len(count) < 2:
        return {}
    entries = _read(file, at + 2, 12 * struct.unpack(f"{order}H", count)[0])
    found: dict[int, tuple[int, ...]] = {}
    for place in range(0, len(entries) - 11, 12):
        tag, kind, length = struct.unpack_from(f"{order}HHI", entries, place)
        letters = f"{order}{length}{LETTERS[kind]}" if kind in LETTERS and length <= MOST_NUMBERS else order
        size = struct.calcsize(letters)
        data = entries[place + 8 : place + 12]
        if size > 4:
            data = _read(file, start + struct.unpack(f"{order}I", data)[0], size)
        found[tag] = struct.unpack(letters, data[:size]) if len(data) >= size else ()
    return found


def _read(file: BinaryIO, start: int, length: int) -> bytes:
    file.seek(start, os.SEEK_SET)
    return file.read(length)
