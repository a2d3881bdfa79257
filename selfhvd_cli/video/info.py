"""What a video file holds: its main picture stream, its other streams, its tags."""

from __future__ import annotations

import errno
import logging
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
from av.container import InputContainer
from av.sidedata.sidedata import Type as SideData
from av.stream import Disposition
from av.video.stream import VideoStream

from selfhvd_cli.errors import InputFault
from selfhvd_cli.video.claims import refuse_impossible_claims
from selfhvd_cli.video.completeness import has_index
from selfhvd_cli.video.pixels import Signal, planar_format

logging.getLogger("libav").setLevel(logging.CRITICAL)

MAX_SIDE = 16384
MAX_PIXELS = 100_000_000
"""Largest picture accepted; a damaged header can claim any size, and memory would be taken before decoding fails."""

PIXEL_LIMIT = {"max_pixels": str(MAX_PIXELS)}
"""The same, for decoders: what a picture itself states may be larger than what the container says of it."""

REFUSED_BY_DECODER = f"damaged, or pictures of more than {MAX_PIXELS // 1_000_000} million pixels"

PATIENCE = 120.0
"""Seconds to open a file in. Opening reads headers; only made-up ones take FFmpeg longer than moments."""

UNSPECIFIED = 2
"""FFmpeg's number for a colour property the stream does not state."""

FULL_RANGE = 2
HLG_TRANSFER = 18
PQ_TRANSFER = 16

PROBE_PACKETS = 600
"""Packets of the main stream tried until one frame decodes."""


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
    def main_stream(self) -> StreamInfo:
        return self.streams[self.stream_index]


def open_input(path: Path, options: Mapping[str, str] | None = None) -> InputContainer:
    """Open a media file.

    Raises:
        InputFault: it is missing, empty, or no media file.
    """
    if not path.exists():
        raise InputFault(f"{path}: no such file.")
    if path.is_dir():
        raise InputFault(f"{path}: is a folder without numbered PNG, JPEG or TIFF frames; name a video file.")
    try:
        if path.stat().st_size == 0:
            raise InputFault(f"{path}: the file is empty (0 bytes); copy it from the phone again.")
        refuse_impossible_claims(path)
        return _open_in_time(path, dict(options or {}))
    except (av.FFmpegError, OSError, ValueError, RuntimeError) as fault:
        if isinstance(fault, PermissionError):
            raise InputFault(f"{path}: no permission to read it.") from None
        if isinstance(fault, av.FFmpegError) and not has_index(path):
            raise InputFault(
                f"{path}: cannot be read as a video (its index is missing, which cameras write at the end: "
                "the recording or the copy was cut off); copy it again, or have the camera repair it."
            ) from fault
        raise InputFault(f"{path}: cannot be read as a video ({_reason(fault)}).") from fault


def _open_in_time(path: Path, options: dict[str, str]) -> InputContainer:
    """Open in a thread of its own, which is left to itself if it takes too long: FFmpeg cannot be stopped there."""
    opened: list[InputContainer] = []
    faults: list[BaseException] = []

    def attempt() -> None:
        try:
            opened.append(
                av.open(
                    str(path), "r", container_options=options, options=dict(PIXEL_LIMIT), metadata_errors="replace"
                )
            )
        except BaseException as fault:  # handed to the caller, who raises it
            faults.append(fault)

    thread = threading.Thread(target=attempt, name="open", daemon=True)
    try:
        thread.start()
    except RuntimeError as fault:
        raise MemoryError(str(fault)) from fault
    thread.join(PATIENCE)
    if thread.is_alive():
        raise InputFault(
            f"{path}: its header cannot be read in {PATIENCE:.0f} seconds; the file is damaged or hostile."
        )
    if opened:
        return opened[0]
    raise faults[0] if faults else MemoryError("no memory to open the file")


def raise_if_out_of_memory(fault: BaseException) -> None:
    """Raise MemoryError where FFmpeg ran out of memory, which is no damage of the file.

    Raises:
        MemoryError: that was the reason.
    """
    # EAGAIN is a decoder or encoder that got no thread: there was no memory for its stack.
    if getattr(fault, "errno", None) in (errno.ENOMEM, errno.EAGAIN):
        raise MemoryError("FFmpeg got no memory") from fault


def probe(path: Path) -> VideoInfo:
    """Read what `path` holds; decodes the first frame, for only that tells colours and orientation for certain.

    Raises:
        InputFault: the file is missing, is no video, or none of its frames can be decoded.
    """
    path = Path(path)
    with open_input(path) as container:
        stream = main_video(container, path)
        refuse_absurd_size(path, stream.codec_context.width, stream.codec_context.height)
        frame = _first_frame(container, stream, path)
        refuse_absurd_size(path, frame.width, frame.height)
        return _describe(path, container, stream, frame)


def main_video(container: InputContainer, path: Path) -> VideoStream:
    """The picture stream a player shows: not a cover, not a thumbnail; among several the one with most picture data.

    Raises:
        InputFault: there is none, or its codec is unknown.
    """
    hidden = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
    shown = [stream for stream in container.streams.video if not stream.disposition & hidden]
    if not shown:
        found = ", ".join(stream.type for stream in container.streams) or "no streams"
        raise InputFault(f"{path}: holds no video (found: {found}).")
    decodable = [stream for stream in shown if stream.codec_context is not None]
    if not decodable:
        raise InputFault(f"{path}: its video is in a format this build of FFmpeg cannot decode.")
    counted = all(stream.frames for stream in decodable)

    def weight(stream: VideoStream) -> tuple[bool, int]:
        area = stream.codec_context.width * stream.codec_context.height
        return bool(stream.disposition & Disposition.default), area * (stream.frames if counted else 1)

    return max(decodable, key=weight)


def refuse_absurd_size(path: Path, width: int, height: int) -> None:
    """Raise InputFault for a picture larger than any phone's."""
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise InputFault(
            f"{path}: pictures of {width}×{height} pixels are not supported "
            f"(at most {MAX_SIDE} a side and {MAX_PIXELS // 1_000_000} million in all)."
        )


def _first_frame(container: InputContainer, stream: VideoStream, path: Path) -> av.VideoFrame:
    stream.thread_type = "SLICE"
    stream.codec_context.options = dict(PIXEL_LIMIT)
    reason = "no frame could be decoded"
    try:
        for count, packet in enumerate(container.demux(stream)):
            try:
                for frame in packet.decode():
                    return frame
            except (av.FFmpegError, ValueError) as fault:
                reason = _reason(fault)
            if count > PROBE_PACKETS:
                break
    except (av.FFmpegError, ValueError) as fault:
        reason = _reason(fault)
    if stream.codec_context.width == 0 and reason != REFUSED_BY_DECODER:
        reason = "the header does not say how large the pictures are"
    raise InputFault(f"{path}: its video ({stream.codec_context.name}) cannot be decoded ({reason}).")


def _describe(path: Path, container: InputContainer, stream: VideoStream, frame: av.VideoFrame) -> VideoInfo:
    context = stream.codec_context
    assert stream.time_base is not None
    color = ColorTags(
        _stated(frame.color_primaries, context.color_primaries, UNSPECIFIED),
        _stated(frame.color_trc, context.color_trc, UNSPECIFIED),
        _stated(frame.colorspace, context.colorspace, UNSPECIFIED),
        _stated(frame.color_range, context.color_range, 0),
    )
    parts = frame.format.components
    streams = tuple(_stream_info(each) for each in container.streams)
    name = context.codec.canonical_name
    first = frame.pts if frame.pts is not None else (stream.start_time or 0)
    return VideoInfo(
        path=path,
        container=container.format.name,
        stream_index=stream.index,
        width=frame.width,
        height=frame.height,
        frame_rate=_frame_rate(stream),
        time_base=stream.time_base,
        start_time=first * stream.time_base,
        duration=_duration(container, stream),
        frame_count=_frame_count(stream),
        codec=name,
        profile=stream.profile,
        codec_tag=context.codec_tag if context.codec_tag.isprintable() and context.codec_tag.strip() else None,
        pixel_format=frame.format.name,
        bit_depth=max(part.bits for part in parts),
        color=color,
        display_matrix=_display_matrix(frame),
        sample_aspect_ratio=stream.sample_aspect_ratio or None,
        interlaced=frame.interlaced_frame,
        field_order=context.field_order,
        hdr={HLG_TRANSFER: "hlg", PQ_TRANSFER: "pq"}.get(color.transfer),  # type: ignore[arg-type]
        hdr_metadata=HdrMetadata(
            _side_data(frame, SideData.MASTERING_DISPLAY_METADATA),
            _side_data(frame, SideData.CONTENT_LIGHT_LEVEL),
        ),
        dolby_vision=any(kind in frame.side_data for kind in (SideData.DOVI_METADATA, SideData.DOVI_RPU_BUFFER)),
        bit_rate=_bit_rate(container, stream),
        metadata=dict(container.metadata),
        streams=streams,
        chapters=tuple(
            Chapter(each["start"] * each["time_base"], each["end"] * each["time_base"], dict(each["metadata"]))
            for each in container.chapters()
            if each["time_base"]
        ),
    )


def _stated(of_frame: int, of_container: int, unspecified: int) -> int:
    """The bitstream outranks the container; an unstated property of the frame falls back to the container's."""
    return int(of_frame) if int(of_frame) != unspecified else int(of_container)


def _stream_info(stream: av.stream.Stream) -> StreamInfo:
    context = stream.codec_context
    codec = context.codec.canonical_name if context is not None else getattr(stream, "name", None)
    base = stream.time_base or None
    start = stream.start_time * base if stream.start_time is not None and base else None
    return StreamInfo(
        index=stream.index,
        id=stream.id,
        kind=stream.type,
        codec=codec,
        time_base=base,
        start_time=start,
        frames=stream.frames,
        disposition=int(stream.disposition),
        language=stream.language,
        metadata=dict(stream.metadata),
    )


def _frame_rate(stream: VideoStream) -> Fraction:
    """Nominal rate; Matroska without a stated rate reports its clock (1000), which is none."""
    rates = (stream.average_rate, stream.guessed_rate, stream.base_rate)
    return next((rate for rate in rates if rate and rate < 1000), Fraction(30))


def _duration(container: InputContainer, stream: VideoStream) -> Fraction | None:
    if stream.duration is not None and stream.duration > 0 and stream.time_base:
        return stream.duration * stream.time_base
    if container.duration is not None and container.duration > 0:
        return Fraction(container.duration, av.time_base)
    return None


def _frame_count(stream: VideoStream) -> int | None:
    """Frames that an edit list hides are in the index but never shown."""
    entries = stream.index_entries
    if stream.frames and len(entries) >= stream.frames:
        return sum(not entry.is_discard for entry in entries)
    return stream.frames or None


def _bit_rate(container: InputContainer, stream: VideoStream) -> int | None:
    if stream.codec_context.bit_rate:
        return stream.codec_context.bit_rate
    others = sum(
        getattr(each.codec_context, "bit_rate", None) or 0 for each in container.streams if each.index != stream.index
    )
    return container.bit_rate - others if container.bit_rate > others else None


def _display_matrix(frame: av.VideoFrame) -> tuple[int, ...] | None:
    raw = _side_data(frame, SideData.DISPLAYMATRIX)
    if raw is None or len(raw) != 36:
        return None
    matrix = struct.unpack("=9i", raw)
    if matrix[0] * matrix[4] == matrix[1] * matrix[3]:
        return None  # damaged: it would show nothing
    upright = (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    return None if matrix == upright else matrix


def _side_data(frame: av.VideoFrame, kind: SideData) -> bytes | None:
    return next((bytes(data) for data in frame.side_data if data.type is kind), None)  # type: ignore


def _reason(fault: Exception) -> str:
    if isinstance(fault, av.ArgumentError):
        return REFUSED_BY_DECODER
    if getattr(fault, "errno", None) == errno.ENOMEM:
        return "its header asks for more memory than there is"
    if isinstance(fault, av.FFmpegError):
        return (fault.strerror or "unreadable").rstrip(".").lower()
    return str(fault).rstrip(".").lower() or type(fault).__name__
