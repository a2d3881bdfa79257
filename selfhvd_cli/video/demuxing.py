"""Demuxing that ends where the file ends, whatever streams turn up on the way."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

log = logging.getLogger(__name__)


def packets_of(container: InputContainer, streams: Sequence[Stream]) -> Iterator[Packet]:
    """The packets of some streams, and for each of them an empty one at the end, which flushes its decoder.

    Raises:
        av.FFmpegError, ValueError: the file cannot be read here; asked again, reading may go on behind the place.
    """
    try:
        yield from container.demux(streams)
    except IndexError:
        # FFmpeg found another stream in a damaged file, which PyAV does not know when it comes to flush it, the last.
        log.info("%s: a stream turned up on the way; it is left out", container.name)
