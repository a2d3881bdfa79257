"""A clip that says it has two views, as spatial video of phones does, of which the file holds the first."""

from __future__ import annotations

from pathlib import Path

from nal_units import escaped, read_units, unescaped, write_units
from video_clips import Recipe, make

VPS = 32
"""Kind of the NAL unit that lists the layers (video parameter set, ITU-T H.265)."""


def make_spatial_video(path: Path, frames: int = 6) -> Path:
    """Write raw HEVC of 64x48 pixels, its parameter sets extended as in H.265 annex F."""
    options = {"x265-params": "bframes=0:repeat-headers=1:log-level=error"}
    make(path, Recipe(frames=frames, codec="libx265", sound=False, options=options))
    units = read_units(path)
    return write_units(path, [_with_two_layers(unit) if unit[0] >> 1 & 63 == VPS else unit for unit in units])


def _with_two_layers(unit: bytes) -> bytes:
    bits = _Bits(unescaped(unit[2:]))
    bits.take(32)
    level, _ = bits.take(96), bits.take(1)
    buffering, reordering, latency = (bits.take_number() for _ in range(3))
    head = "0000110000010001" + "1" * 16 + level + "1"
    head += _number(buffering) + _number(reordering) + _number(latency) + "000001" + _number(1) + "1101"
    head += "1" * (-len(head) % 8)
    layers = level[-8:] + "0" + f"{1 << 14:016b}" + "000010001011001"
    layers += _number(1) + _number(0) + "0001" + _number(0)
    pictures = f"{64:016b}{48:016b}" + "101000000000100"
    pictures += _number(buffering) * 2 + _number(reordering) + _number(latency) + _number(0) + "100" + _number(0)
    text = head + layers + pictures + "01"
    text += "0" * (-len(text) % 8)
    raw = bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))
    return unit[:2] + escaped(raw)


class _Bits:
    def __init__(self, raw: bytes) -> None:
        self._text = "".join(f"{byte:08b}" for byte in raw)

    def take(self, count: int) -> str:
        taken, self._text = self._text[:count], self._text[count:]
        return taken

    def take_number(self) -> int:
        """An Exp-Golomb code."""
        zeros = len(self._text) - len(self._text.lstrip("0"))
        return int(self.take(2 * zeros + 1), 2) - 1


def _number(value: int) -> str:
    text = f"{value + 1:b}"
    return "0" * (len(text) - 1) + text
