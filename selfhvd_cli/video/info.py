"""What a video file holds: its main picture stream, its other streams, its tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

from selfhvd_cli.video.clock import Restart
from selfhvd_cli.video.pixel_formats import planar_format
from selfhvd_cli.video.pixels import Signal
from selfhvd_cli.video.tags import ALPHA_TAG

UNSPECIFIED = 2
"""FFmpeg's number for a colour property the stream does not state."""

FULL_RANGE = 2
HLG_TRANSFER = 18
PQ_TRANSFER = 16


@dataclass(frozen=True)
class ColorTags:
    """Colour description as FFmpeg's numbers (ITU-T H.273); 2 is unspecified, range 0 is unspecified."""

    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    matrix: int = UNSPECIFIED
    range: int = 0


@dataclass(frozen=True)
class StreamInfo:
    """One stream of the file."""

    index: int
    id: int
    """The container's own number of the stream, in mp4 the track ID."""

    kind: str
    """video, audio, subtitle, data, attachment or unknown."""

    codec: str | None
    """FFmpeg's name; None where FFmpeg does not know the format."""

    time_base: Fraction | None
    start_time: Fraction | None
    """Seconds."""

    frames: int
    """0 where the container does not say."""

    disposition: int
    language: str | None
    metadata: Mapping[str, str]

    def __str__(self) -> str:
        name = self.codec or "unknown format"
        language = f", {self.language}" if self.language not in (None, "und") else ""
        return f"{self.kind} {self.index} ({name}{language})"


@dataclass(frozen=True)
class Chapter:
    """A named stretch of the presentation."""

    start: Fraction
    end: Fraction
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class HdrMetadata:
    """Static HDR metadata as the bytes of FFmpeg's structures, kept for the encoder."""

    mastering: bytes | None = None
    light_level: bytes | None = None


@dataclass(frozen=True)
class VideoInfo:
    """A video and its main picture stream. Times are seconds, sizes are stored pixels (before rotation)."""

    path: Path
    container: str
    """FFmpeg's name of the format; `frames` for a folder of pictures."""

    stream_index: int
    width: int
    height: int
    frame_rate: Fraction
    """Nominal; frames of phone videos are rarely evenly spaced."""

    time_base: Fraction
    start_time: Fraction
    """Of the first frame."""

    duration: Fraction | None
    frame_count: int | None
    """Frames that will be shown; None where the container does not say."""

    codec: str
    profile: str | None
    codec_tag: str | None
    pixel_format: str
    bit_depth: int
    color: ColorTags
    display_matrix: tuple[int, ...] | None
    """Nine integers in FFmpeg's layout; None for an upright picture."""

    sample_aspect_ratio: Fraction | None
    interlaced: bool
    field_order: int
    hdr: Literal["hlg", "pq"] | None
    hdr_metadata: HdrMetadata
    dolby_vision: bool
    """Carries Dolby Vision metadata beside its base layer."""

    bit_rate: int | None
    """Of the main picture stream, bits per second."""

    metadata: Mapping[str, str]
    streams: tuple[StreamInfo, ...]
    chapters: tuple[Chapter, ...]

    extras: tuple[str, ...] = ()
    """What the first picture carries beside its planes that only some encoders write: HDR10+, closed captions."""

    restarts: list[Restart] = field(default_factory=list, compare=False)
    """Where the clock of the pictures begins anew: the one thing that is known only as far as they have been read, so
    a reader adds to it."""

    @property
    def signal(self) -> Signal:
        """How the stream's codes relate to RGB."""
        full = self.color.range == FULL_RANGE or self.pixel_format.startswith("yuvj")
        return Signal(self.color.matrix, full, left_sited=self.codec not in ("mjpeg", "jpegls", "mpeg1video"))

    @property
    def planar_format(self) -> str:
        """The pixel format frames are worked on in."""
        return planar_format(self.pixel_format)

    @property
    def is_picture(self) -> bool:
        """Whether the file is a picture, such as PNG or JPEG, and no video."""
        return self.container.endswith("_pipe") or self.container == "image2"

    @property
    def alpha_beside(self) -> bool:
        """Whether transparency lies beside the pictures, as in WebM, where the decoder does not give it."""
        return bool(self.streams) and any(name.lower() == ALPHA_TAG for name in self.main_stream.metadata)

    @property
    def main_stream(self) -> StreamInfo:
        return self.streams[self.stream_index]
