"""Cover pictures: in mp4 among the tags, in Matroska attached files, and in other containers ordinary videos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import av
from av.container import OutputContainer
from av.stream import Disposition

from selfhvd_cli.video.info import StreamInfo, VideoInfo
from selfhvd_cli.video.opening import open_input

KINDS: Mapping[str, tuple[str, str]] = {
    "mjpeg": ("cover.jpg", "image/jpeg"),
    "png": ("cover.png", "image/png"),
    "gif": ("cover.gif", "image/gif"),
    "tiff": ("cover.tif", "image/tiff"),
}
"""Name and type of an attached picture by codec: what readers of Matroska take for a cover."""


@dataclass(frozen=True)
class Cover:
    """A cover picture as a file."""

    name: str
    kind: str
    """MIME type."""

    data: bytes

    def attach(self, output: OutputContainer) -> None:
        """Add it to a Matroska output."""
        output.add_attachment(self.name, self.kind, self.data)


def is_cover(stream: StreamInfo) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def attachable(stream: StreamInfo, muxer: str) -> bool:
    """Whether a stream is a cover picture that the output holds as an attached file."""
    return muxer == "matroska" and is_cover(stream) and stream.codec in KINDS


def read_cover(like: VideoInfo, index: int) -> Cover | None:
    """A cover picture of the source; None where it cannot be read."""
    stream = like.streams[index]
    name, kind = KINDS[stream.codec or ""]
    with open_input(like.path) as source:
        try:
            packet = next(packet for packet in source.demux(source.streams[index]) if packet.size)
        except (av.FFmpegError, ValueError, StopIteration):
            return None
        tags = {key.lower(): value for key, value in stream.metadata.items()}
        return Cover(tags.get("filename", name), tags.get("mimetype", kind), bytes(packet))
