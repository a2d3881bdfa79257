"""What a picture file says beside its pixels (EXIF, colour profile, texts), and the way into another file, unread."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from selfhvd_cli.video.pictures.parts import JPEG, PNG, Part, parts
from selfhvd_cli.video.pictures.tiff_tags import tiff_tags

EXIF, ICC = "EXIF", "ICC profile"

APP0, APP1, APP2, APP13, COMMENT = b"\xff\xe0", b"\xff\xe1", b"\xff\xe2", b"\xff\xed", b"\xff\xfe"

CARRIED: tuple[tuple[bytes, bytes, str], ...] = (
    (b"eXIf", b"", EXIF),
    (b"iCCP", b"", ICC),
    *((kind, b"", "colour tags") for kind in (b"sRGB", b"gAMA", b"cHRM", b"cICP", b"mDCV", b"cLLI")),
    (b"pHYs", b"", "resolution"),
    *((kind, b"", "texts") for kind in (b"tEXt", b"zTXt", b"iTXt")),
    (APP0, b"JFIF\x00", "resolution"),
    (APP1, b"Exif\x00\x00", EXIF),
    (APP1, b"http://ns.adobe.com/xap/1.0/\x00", "XMP"),
    (APP2, b"ICC_PROFILE\x00", ICC),
    (APP13, b"Photoshop 3.0\x00", "IPTC"),
    (COMMENT, b"", "comment"),
)
"""(kind of part, what it begins with, name): what is as true of the changed picture, wherever in the file it lies."""

LEFT: tuple[tuple[bytes, bytes, str], ...] = (
    (b"acTL", b"", "animation"),
    (APP1, b"http://ns.adobe.com/xmp/extension/\x00", "extended XMP"),
    (APP2, b"MPF\x00", "further pictures behind the first"),
)
"""What is not: it belongs to other parts of the file, by their places in it."""

KINDS = frozenset(kind for kind, _, _ in (*CARRIED, *LEFT))

TIFF_NAMES = {34665: EXIF, 34853: EXIF, 34675: ICC, 700: "XMP", 33723: "IPTC", 274: "orientation"} | dict.fromkeys(
    (270, 271, 272, 306, 315, 33432), "texts"
)
"""By tag; TIFF holds EXIF in directories of its own."""


@dataclass(frozen=True)
class Metadata:
    """What lies beside the pixels of a picture file."""

    signature: bytes = b""
    """Of the kind of file."""

    names: frozenset[str] = frozenset()
    """All of it, in words."""

    carried: tuple[bytes, ...] = ()
    """The parts that another file of this kind can hold, as they are."""


def read_metadata(file: BinaryIO) -> Metadata:
    """The metadata of a PNG, JPEG or TIFF file; none of any other."""
    found = list(parts(file))
    file.seek(0)
    start = file.read(len(PNG))
    signature = next((each for each in (PNG, JPEG) if start.startswith(each)), b"")
    carried = tuple(part.raw(file) for part in found if _name(part, file, CARRIED))
    return Metadata(signature, names_beside(file, found), carried)


def names_beside(file: BinaryIO, found: Sequence[Part]) -> frozenset[str]:
    """What a file holds beside its pixels, in words.

    Args:
        found: its parts; none for a TIFF file.
    """
    if not found:
        tags = tiff_tags(file)
        return frozenset(name for tag, name in TIFF_NAMES.items() if tag in tags)
    return frozenset(filter(None, (_name(part, file, CARRIED + LEFT) for part in found)))


def with_metadata(data: bytes, metadata: Metadata) -> bytes:
    """A picture file with the metadata of another one of its kind in place of its own; of another kind, as it is."""
    if not metadata.carried or not data.startswith(metadata.signature):
        return data
    file = io.BytesIO(data)
    all_parts = list(parts(file))
    own = [part.raw(file) for part in all_parts if not _name(part, file, CARRIED)]
    # Readers want what concerns colour before the pixels, but a PNG's header before all.
    place = 1 if metadata.signature == PNG else 0
    return b"".join((metadata.signature, *own[:place], *metadata.carried, *own[place:], data[all_parts[-1].end :]))


def _name(part: Part, file: BinaryIO, table: tuple[tuple[bytes, bytes, str], ...]) -> str | None:
    for kind, beginning, name in table if part.kind in KINDS else ():
        if part.kind == kind and part.head(file, len(beginning)) == beginning:
            return name
    return None
