"""What a picture file says before its pixels: their format, the orientation, what else lies there.

FFmpeg tells the same only of a picture that it has decoded, which takes a third of a second for a PNG in 4K.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO

from selfhvd_cli.video.pictures.metadata import APP1, names_beside
from selfhvd_cli.video.pictures.parts import Part, parts
from selfhvd_cli.video.pictures.tiff_tags import tiff_tags

UPRIGHT = 1
ORIENTATION = 0x0112

FORMATS: Mapping[tuple[bool, bool], tuple[str, str]] = {
    (False, False): ("gray", "gray16be"),
    (False, True): ("ya8", "ya16be"),
    (True, False): ("rgb24", "rgb48be"),
    (True, True): ("rgba", "rgba64be"),
}
"""(colour, transparency): pixel formats of 8 and of 16 bits."""

PNG_COLOUR, PNG_ALPHA = 2, 4
"""Bits of a PNG's colour type."""

FRAME_HEADERS = frozenset(bytes((0xFF, number)) for number in range(0xC0, 0xD0)) - {
    b"\xff\xc4",
    b"\xff\xc8",
    b"\xff\xcc",
}
"""Segments of a JPEG that say how its pixels are coded; three of these numbers say other things."""

ADOBE, TRANSFORM_AT = b"\xff\xee", 11
"""The segment that says what the components are, and where: 0 is RGB or CMYK, 2 is YCCK."""

CHROMA = {(1, 1): "444", (2, 1): "422", (2, 2): "420", (1, 2): "440", (4, 1): "411"}
"""By luma columns and rows for one chroma sample."""

TIFF_BITS, TIFF_COMPRESSION, TIFF_KIND, TIFF_SAMPLES = 258, 259, 262, 277
TIFF_JPEG = (6, 7)
TIFF_GRAY, TIFF_RGB, TIFF_YUV = (0, 1), 2, 6


@dataclass(frozen=True)
class PictureHead:
    """What is known of a picture file."""

    pixel_format: str | None = None
    """FFmpeg's name of one that holds its pixels, a palette's as RGB; None where that cannot be told."""

    orientation: int = UPRIGHT
    """EXIF's number, 1 to 8."""

    beside: frozenset[str] = frozenset()
    """What else lies before the pixels, in words."""

    comes_out_black: bool = False
    """A TIFF with its pixels in JPEG, of which FFmpeg decodes nothing, and says nothing."""


def read_head(path: Path) -> PictureHead:
    """Read the head of a PNG, JPEG or TIFF file. Nothing is known of one that cannot be read."""
    try:
        with path.open("rb", buffering=0) as file:  # a buffer would be filled anew at every chunk
            return _head(file)
    except OSError:
        return PictureHead()


def _head(file: BinaryIO) -> PictureHead:
    found = list(takewhile(lambda part: part.kind != b"IDAT", parts(file)))  # a large PNG has thousands of these
    exif: int | None
    black = False
    if not found:
        tags = tiff_tags(file)
        name, exif, black = _tiff_format(tags), 0, any(each in TIFF_JPEG for each in tags.get(TIFF_COMPRESSION, ()))
    elif found[0].kind == b"IHDR":
        name = _png_format(found, file)
        exif = next((part.start for part in found if part.kind == b"eXIf"), None)
    else:
        name = _jpeg_format(found, file)
        marks = (part for part in found if part.kind == APP1 and part.head(file, 6) == b"Exif\x00\x00")
        exif = next((part.start + 6 for part in marks), None)
    turned = tiff_tags(file, exif).get(ORIENTATION, ()) if exif is not None else ()
    orientation = turned[0] if turned and 1 <= turned[0] <= 8 else UPRIGHT
    return PictureHead(name, orientation, names_beside(file, found), black)


def _png_format(found: Sequence[Part], file: BinaryIO) -> str | None:
    header = found[0].head(file, 10)
    if len(header) < 10:
        return None
    bits, kind = header[8:]
    transparent = bool(kind & PNG_ALPHA) or any(part.kind == b"tRNS" for part in found)
    return FORMATS[bool(kind & PNG_COLOUR), transparent][bits > 8]


def _jpeg_format(found: Sequence[Part], file: BinaryIO) -> str | None:
    header = next((part.head(file, 6 + 3 * 4) for part in found if part.kind in FRAME_HEADERS), b"")
    if len(header) < 9:
        return None
    if header[5] == 1:
        return "gray"
    adobe = next((part.head(file, TRANSFORM_AT + 1) for part in found if part.kind == ADOBE), b"")
    transform = adobe[TRANSFORM_AT] if len(adobe) > TRANSFORM_AT else None
    if header[5] == 4:
        return "yuvj444p" if transform == 2 else "rgb24"
    if len(header) < 15:
        return None
    letters, sampling = header[6:15:3], [(each >> 4, each & 15) for each in header[7:15:3]]
    if sampling[0] == sampling[1] and (transform == 0 or letters == b"RGB"):
        return "rgb24"
    (across, down), (columns, rows), _ = sampling
    ratio = (across // max(1, columns), down // max(1, rows))
    return f"yuvj{CHROMA.get(ratio, '444')}p"


def _tiff_format(tags: Mapping[int, tuple[int, ...]]) -> str | None:
    if TIFF_KIND not in tags:
        return None
    (kind, *_), (samples, *_) = tags[TIFF_KIND] or (TIFF_RGB,), tags.get(TIFF_SAMPLES) or (1,)
    if kind == TIFF_YUV:
        return "yuv444p"
    transparent = samples == (2 if kind in TIFF_GRAY else 4) and (kind in TIFF_GRAY or kind == TIFF_RGB)
    deep = max(tags.get(TIFF_BITS) or (1,)) > 8
    return FORMATS[kind not in TIFF_GRAY, transparent][deep]
