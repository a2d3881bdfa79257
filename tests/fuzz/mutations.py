"""Seeded damage to media files: the ways in which storage, transfers, recorders and attackers break them."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

EXTREMES = (0, 1, 2, 7, 8, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
"""Numbers at which sizes, counts and clocks go wrong."""

MARKS = (
    *b"moov mvhd trak tkhd mdhd hdlr stsd stts ctts stsc stsz stco stss elst edts udta meta ilst keys".split(),
    *b"avcC hvcC esds colr mdat ftyp moof traf trun tfhd tfdt chap tref dref sgpd free avc1 hvc1 mp4a tx3g".split(),
    *b"RIFF LIST avih strh strf movi idx1 IHDR IDAT".split(),
    *(b"\x1a\x45\xdf\xa3", b"\x16\x54\xae\x6b", b"\x1f\x43\xb6\x75", b"\x15\x49\xa9\x66"),
    *(b"\x11\x4d\x9b\x74", b"\x1c\x53\xbb\x6b", b"\x12\x54\xc3\x67"),
)
"""Beginnings of the boxes, chunks and elements whose headers are worth breaking."""


def mutate(data: bytes, seed: int) -> tuple[bytes, str]:
    """A damaged copy of a file, and the names of what was done; the same for the same seed."""
    dice = random.Random(seed)
    names = dice.choices(list(KINDS), k=dice.choice((1, 1, 1, 2, 3)))
    body = bytearray(data)
    for name in names:
        if len(body) > 16:
            KINDS[name](body, dice)
    return bytes(body), "+".join(names)


def _flip_bits(body: bytearray, dice: random.Random) -> None:
    for _ in range(dice.choice((1, 3, 10, 60))):
        body[dice.randrange(len(body))] ^= 1 << dice.randrange(8)


def _fill(body: bytearray, dice: random.Random) -> None:
    start, length = _span(body, dice)
    body[start : start + length] = dice.choice((bytes(length), b"\xff" * length, dice.randbytes(length)))


def _cut_off(body: bytearray, dice: random.Random) -> None:
    del body[dice.randrange(1, len(body)) :]


def _drop(body: bytearray, dice: random.Random) -> None:
    start, length = _span(body, dice)
    del body[start : start + length]


def _repeat(body: bytearray, dice: random.Random) -> None:
    start, length = _span(body, dice)
    body[start:start] = body[start : start + length] * dice.choice((1, 1, 2, 30))


def _swap(body: bytearray, dice: random.Random) -> None:
    one, length = _span(body, dice)
    other = dice.randrange(len(body) - length + 1)
    body[one : one + length], body[other : other + length] = (
        bytes(body[other : other + length]),
        bytes(body[one : one + length]),
    )


def _insert(body: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(body))
    body[at:at] = dice.randbytes(dice.choice((1, 2, 4, 100, 5000)))


def _resize_box(body: bytearray, dice: random.Random) -> None:
    """Change the length before a mark."""
    at = _mark(body, dice) - 4
    if at >= 0:
        size = int.from_bytes(body[at : at + 4], "big")
        new = dice.choice((*EXTREMES, size + 1, max(0, size - 1), 2 * size)) & 0xFFFFFFFF
        body[at : at + 4] = new.to_bytes(4, "big")


def _rename_box(body: bytearray, dice: random.Random) -> None:
    at = _mark(body, dice)
    body[at : at + 4] = dice.choice((dice.choice(MARKS), dice.randbytes(4)))


def _set_field(body: bytearray, dice: random.Random) -> None:
    """Put an extreme number behind a mark."""
    at = _mark(body, dice) + 4 + dice.randrange(64)
    width = dice.choice((1, 2, 4, 4, 8))
    number = dice.choice(EXTREMES) & ((1 << (8 * width)) - 1)
    body[at : at + width] = number.to_bytes(width, "big")


def _break_header(body: bytearray, dice: random.Random) -> None:
    """Random bytes within the first kilobyte, or the last."""
    start = 0 if dice.random() < 0.7 else max(0, len(body) - 1024)
    for _ in range(dice.choice((1, 2, 8))):
        body[min(len(body) - 1, start + dice.randrange(1024))] = dice.randrange(256)


def _span(body: bytearray, dice: random.Random) -> tuple[int, int]:
    length = min(len(body) - 1, dice.choice((1, 4, 16, 188, 512, 4096)))
    return dice.randrange(len(body) - length), length


def _mark(body: bytearray, dice: random.Random) -> int:
    """Where some mark stands; anywhere where none does."""
    for mark in dice.sample(MARKS, len(MARKS)):
        found = body.find(mark, dice.randrange(len(body)))
        found = body.find(mark) if found < 0 else found
        if found >= 0:
            return found
    return dice.randrange(len(body))


KINDS: Mapping[str, Callable[[bytearray, random.Random], None]] = {
    "flip bits": _flip_bits,
    "fill": _fill,
    "cut off": _cut_off,
    "drop": _drop,
    "repeat": _repeat,
    "swap": _swap,
    "insert": _insert,
    "resize box": _resize_box,
    "rename box": _rename_box,
    "set field": _set_field,
    "break header": _break_header,
}
"""Every kind of damage."""
