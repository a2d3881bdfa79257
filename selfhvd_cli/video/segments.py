"""Segments: an encoded stretch of an output in a file of its own, from which a run that was cut off goes on."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, Protocol

from av.packet import Packet
from av.video.stream import VideoStream

from selfhvd_cli.errors import InputFault

_MAGIC = b"selfhvd segment 1\n"
_HEAD = struct.Struct("<qqqqBQ")
_END = struct.Struct("<Q")
_UNSET = -(2**63)
"""FFmpeg's own mark of a time that is not known."""


@dataclass(frozen=True)
class Piece:
    """One encoded picture: a packet of a video file, or a picture file of a folder."""

    data: bytes
    pts: int
    dts: int | None = None
    duration: int = 0
    """Times in ticks of the output; of a folder's pictures only `pts` counts, the number of the frame."""

    is_key: bool = True

    def packet(self, stream: VideoStream, time_base: Fraction) -> Packet:
        """As a packet of an output's picture stream."""
        packet = Packet(self.data)
        packet.pts, packet.dts, packet.duration, packet.time_base = self.pts, self.dts, self.duration, time_base
        packet.is_keyframe = self.is_key
        packet.stream = stream
        return packet


class Keeper(Protocol):
    """Who keeps the segments of an output; a writer tells it of each piece and each end."""

    length: int
    """Frames of a segment: each has an encoder of its own, so that another run can begin with the next."""

    kept: int
    """Frames at the beginning that are there already, in whole segments."""

    def pieces(self, segment: int) -> Iterator[Piece]:
        """What was kept, in the order in which it was added."""
        ...

    def add(self, piece: Piece) -> None:
        """Keep a piece of the segment under way."""
        ...

    def close_segment(self) -> None:
        """The segment under way has all its frames."""
        ...


class SegmentFile:
    """Writes a segment piece by piece; `finish` gives its size and hash."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] = path.open("wb")
        self._digest = hashlib.sha256()
        self._write(_MAGIC)

    def add(self, piece: Piece) -> None:
        dts = _UNSET if piece.dts is None else piece.dts
        self._write(_HEAD.pack(len(piece.data), piece.pts, dts, piece.duration, piece.is_key, 0))
        self._write(piece.data)

    def finish(self, notes: Sequence[Any]) -> tuple[int, str]:
        """End the file with notes, one a frame (whatever JSON holds); its size in bytes and its sha256."""
        words = json.dumps(notes, ensure_ascii=False).encode()
        self._write(_HEAD.pack(-1, 0, 0, 0, 0, len(words)))
        self._write(words)
        self._write(_END.pack(len(words)))
        size = self._file.tell()
        self._file.close()
        return size, self._digest.hexdigest()

    def drop(self) -> None:
        """Give it up and remove it."""
        try:
            self._file.close()
        finally:
            self.path.unlink(missing_ok=True)

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)


def read_pieces(path: Path) -> Iterator[Piece]:
    """The pieces of a segment that was verified.

    Raises:
        InputFault: it is none, though its list vouches for it.
    """
    whole = path.stat().st_size
    with _sound(path), path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise ValueError("it does not begin as one")
        while True:
            size, pts, dts, duration, is_key, _ = _HEAD.unpack(file.read(_HEAD.size))
            if size < 0:
                return
            if size > whole:
                raise ValueError("a piece is larger than the whole")
            yield Piece(file.read(size), pts, None if dts == _UNSET else dts, duration, bool(is_key))


def read_notes(path: Path) -> list[Any]:
    """The notes at the end of a segment, one a frame.

    Raises:
        InputFault: there are none that can be read.
    """
    with _sound(path), path.open("rb") as file:
        file.seek(-_END.size, 2)
        (length,) = _END.unpack(file.read(_END.size))
        file.seek(-_END.size - length, 2)
        notes = json.loads(file.read(length))
        if not isinstance(notes, list):
            raise ValueError("its notes are no list")
        return notes


@contextmanager
def _sound(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, OverflowError, struct.error, OSError) as fault:
        raise InputFault(
            f"{path}: is no segment ({fault}); remove it with selfhvd jobs clean OUTPUT, and begin anew."
        ) from fault
