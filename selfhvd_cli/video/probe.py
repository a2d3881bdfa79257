"""Reads what a video file holds; decodes its first frame, for only that tells colours and orientation for certain."""

from __future__ import annotations

import contextlib
import errno
import itertools
import struct
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from selfhvd_cli.errors import InputFault
from selfhvd_cli.video.demuxing import packets_of
from selfhvd_cli.video.info import (
    HLG_TRANSFER,
    PQ_TRANSFER,
    UNSPECIFIED,
    Chapter,
    ColorTags,
    HdrMetadata,
    StreamInfo,
    VideoInfo,
)
from selfhvd_cli.video.opening import (
    PIXEL_LIMIT,
    REFUSED_BY_DECODER,
    open_input,
    reason_of,
    refuse_absurd_size,
)
from selfhvd_cli.video.side_data import SideData, carries, extras, side_data

PROBE_PACKETS = 600
"""Packets tried until a frame of the main stream decodes, or looked at to tell which stream that is."""


def probe(path: Path, place: int | None = None) -> VideoInfo:
    """Read what `path` holds; decodes the first frame, for only that tells colours and orientation for certain.

    Args:
        place: as `main_video` takes it.

    Raises:
        InputFault: the file is missing, is no video, or none of its frames can be decoded.
    """
    path = Path(path)
    with open_input(path) as container:
        stream = main_video(container, path, place)
        refuse_absurd_size(path, stream.codec_context.width, stream.codec_context.height)
        frame = _first_frame(container, stream, path)
        refuse_absurd_size(path, frame.width, frame.height)
        return _describe(path, container, stream, frame)


def main_video(container: InputContainer, path: Path, place: int | None = None) -> VideoStream:
    """The picture stream a player shows: not a cover, not a thumbnail; among several one that moves, and of those the
    one with most picture data.

    Args:
        place: of the stream that is wanted, where it is known, among the video streams that are no covers.

    Raises:
        InputFault: there is none, or its codec is unknown.
    """
    if place is not None:
        pictures = [each for each in container.streams.video if not each.disposition & Disposition.attached_pic]
        if place < len(pictures) and pictures[place].codec_context is not None:
            return pictures[place]
    hidden = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
    shown = [stream for stream in container.streams.video if not stream.disposition & hidden]
    if not shown:
        found = ", ".join(stream.type for stream in container.streams) or "no streams"
        raise InputFault(f"{path}: holds no video (found: {found}).")
    decodable = [stream for stream in shown if stream.codec_context is not None]
    if not decodable:
        raise InputFault(f"{path}: its video is in a format this build of FFmpeg cannot decode.")
    if len(decodable) == 1:
        return decodable[0]
    stated = {stream.index: stream.frames for stream in decodable}
    frames = stated if all(stated.values()) else _frames_at_first(path, list(stated))

    def weight(stream: VideoStream) -> tuple[bool, bool, int]:
        area = stream.codec_context.width * stream.codec_context.height
        # Of a motion photo's few seconds a stretch can have less picture data than the still beside it.
        moves = frames[stream.index] > 1
        return moves, bool(stream.disposition & Disposition.default), area * frames[stream.index]

    return max(decodable, key=weight)


def _frames_at_first(path: Path, indices: Sequence[int]) -> dict[int, int]:
    """Frames of streams, of which the file states no number, among the first that it holds; at least one of each."""
    counts = dict.fromkeys(indices, 1)
    with open_input(path) as container, contextlib.suppress(av.FFmpegError, ValueError):
        packets = packets_of(container, [container.streams[index] for index in indices])
        counts |= Counter(packet.stream_index for packet in itertools.islice(packets, PROBE_PACKETS) if packet.size)
    return counts


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
                if getattr(fault, "errno", None) == errno.EAGAIN:
                    raise MemoryError("the decoder got no thread") from fault
                reason = reason_of(fault)
            if count > PROBE_PACKETS:
                break
    except (av.FFmpegError, ValueError) as fault:
        reason = reason_of(fault)
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
            side_data(frame, SideData.MASTERING_DISPLAY_METADATA),
            side_data(frame, SideData.CONTENT_LIGHT_LEVEL),
        ),
        dolby_vision=carries(frame, SideData.DOVI_METADATA, SideData.DOVI_RPU_BUFFER),
        bit_rate=_bit_rate(container, stream),
        metadata=dict(container.metadata),
        streams=streams,
        chapters=tuple(
            Chapter(each["start"] * each["time_base"], each["end"] * each["time_base"], dict(each["metadata"]))
            for each in container.chapters()
            if each["time_base"]
        ),
        extras=extras(frame),
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
    raw = side_data(frame, SideData.DISPLAYMATRIX)
    if raw is None or len(raw) != 36:
        return None
    matrix = struct.unpack("=9i", raw)
    if matrix[0] * matrix[4] == matrix[1] * matrix[3]:
        return None  # damaged: it would show nothing
    upright = (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    return None if matrix == upright else matrix
