"""Raw h264 and hevc taken apart into NAL units, and put together again."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path


def read_units(path: Path) -> list[bytes]:
    return [unit for unit in re.split(b"\0\0\0\1|\0\0\1", path.read_bytes()) if unit]


def write_units(path: Path, units: Iterable[bytes]) -> Path:
    path.write_bytes(b"".join(b"\0\0\0\1" + unit for unit in units))
    return path


def escaped(payload: bytes) -> bytes:
    """With what keeps a payload from looking like the beginning of a unit."""
    return re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", payload)


def unescaped(payload: bytes) -> bytes:
    return payload.replace(b"\0\0\3", b"\0\0")
