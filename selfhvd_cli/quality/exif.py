"""The tags of a phone's video as the EXIF of a picture taken from it: when, where, with what."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from fractions import Fraction

SOFTWARE = "selfhvd"

LOCAL_TIME = ("com.apple.quicktime.creationdate",)
WORLD_TIME = ("creation_time",)
"""Apple states the place's own time with its offset; creation_time is UTC."""

PLACE = ("com.apple.quicktime.location.ISO6709", "location", "location-eng")
MAKE = ("com.apple.quicktime.make", "com.android.manufacturer", "make")
MODEL = ("com.apple.quicktime.model", "com.android.model", "model")

ISO6709 = re.compile(r"([+-]\d{2}(?:\.\d+)?)([+-]\d{3}(?:\.\d+)?)(?:([+-]\d+(?:\.\d+)?))?")
"""Degrees of latitude and longitude, metres of height: +48.1374+011.5755+519.0/."""

ORIENTATION, IMAGE_MAKE, IMAGE_MODEL, IMAGE_SOFTWARE, IMAGE_DATE = 0x0112, 0x010F, 0x0110, 0x0131, 0x0132
EXIF_IFD, GPS_IFD = 0x8769, 0x8825
DATE_ORIGINAL, DATE_DIGITIZED, OFFSET_ORIGINAL, SUBSECOND = 0x9003, 0x9004, 0x9011, 0x9291
UPRIGHT = 1


def exif_bytes(container: Mapping[str, str], stream: Mapping[str, str], since: Fraction) -> bytes:
    """EXIF of a frame.

    Args:
        container, stream: tags of the file and of its picture stream; the file's win.
        since: seconds from the first frame to this one, added to the date.
    """
    from PIL import Image

    tags = {**stream, **container}
    exif = Image.Exif()
    exif[ORIENTATION] = UPRIGHT
    exif[IMAGE_SOFTWARE] = SOFTWARE
    for number, keys in ((IMAGE_MAKE, MAKE), (IMAGE_MODEL, MODEL)):
        if text := _first(tags, keys):
            exif[number] = text
    taken = _taken(tags)
    if taken is not None:
        taken += timedelta(seconds=float(since))
        text = taken.strftime("%Y:%m:%d %H:%M:%S")
        exif[IMAGE_DATE] = text
        inner = exif.get_ifd(EXIF_IFD)
        inner[DATE_ORIGINAL] = inner[DATE_DIGITIZED] = text
        inner[SUBSECOND] = f"{taken.microsecond // 1000:03d}"
        if taken.utcoffset() is not None:
            offset = taken.strftime("%z")
            inner[OFFSET_ORIGINAL] = f"{offset[:3]}:{offset[3:5]}"
    match = ISO6709.match(_first(tags, PLACE))
    if match:
        exif.get_ifd(GPS_IFD).update(_gps(*match.groups()))
    return exif.tobytes()


def _taken(tags: Mapping[str, str]) -> datetime | None:
    """When the clip began: in the place's own time where the tags tell it, else UTC."""
    text = _first(tags, LOCAL_TIME) or _first(tags, WORLD_TIME)
    text = re.sub(r"([+-]\d{2})(\d{2})$", r"\1:\2", text.strip().replace("Z", "+00:00"))
    text = re.sub(r"\.\d+", "", text)
    try:
        taken = datetime.fromisoformat(text)
    except ValueError:
        return None
    return taken if taken.year > 1970 else None  # phones without a clock write the beginning of theirs


def _gps(latitude: str, longitude: str, height: str | None) -> dict[int, object]:
    from PIL.TiffImagePlugin import IFDRational

    def degrees(text: str) -> tuple[IFDRational, ...]:
        value = abs(Fraction(text))
        whole = value.numerator // value.denominator
        minutes = (value - whole) * 60
        full = minutes.numerator // minutes.denominator
        seconds = ((minutes - full) * 60).limit_denominator(10_000)
        return IFDRational(whole, 1), IFDRational(full, 1), IFDRational(seconds.numerator, seconds.denominator)

    tags: dict[int, object] = {
        0: b"\x02\x03\x00\x00",
        1: "S" if latitude.startswith("-") else "N",
        2: degrees(latitude),
        3: "W" if longitude.startswith("-") else "E",
        4: degrees(longitude),
    }
    if height is not None:
        metres = abs(Fraction(height)).limit_denominator(1000)
        tags[5] = b"\x01" if height.startswith("-") else b"\x00"
        tags[6] = IFDRational(metres.numerator, metres.denominator)
    return tags


def _first(tags: Mapping[str, str], keys: tuple[str, ...]) -> str:
    return next((tags[key] for key in keys if tags.get(key)), "")
