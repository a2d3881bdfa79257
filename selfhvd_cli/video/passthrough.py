"""Every other stream of the source, packet for packet: sound, subtitles, data, second pictures, attachments."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Discard, Disposition, Stream

from selfhvd_cli.video.demuxing import packets_of
from selfhvd_cli.video.info import StreamInfo, VideoInfo
from selfhvd_cli.video.opening import open_input
from selfhvd_cli.video.pace import Pace

log = logging.getLogger(__name__)

TRIAL_PACKETS = 400
"""Packets read from the beginning of the source to try each stream with one of its own."""

TIES_ALLOWED = 0x20000
"""FFmpeg's mark of containers in which two packets of a stream may have one time (AVFMT_TS_NONSTRICT)."""

ROOMIER = {"mp4": "mov or mkv", "3gp": "mp4 or mkv", "mov": "mkv", "webm": "mkv", "avi": "mkv", "mpegts": "mkv"}
"""Containers that hold more than the key does."""


@dataclass(frozen=True)
class Verdict:
    """Whether a container can hold one stream of the source."""

    stream: StreamInfo
    reason: str | None = None
    """Why not; None if it can."""


def muxable(like: VideoInfo, muxer: str) -> list[Verdict]:
    """Try every stream but the main one alone in memory: write a header, one packet, and read the result back."""
    verdicts = []
    with open_input(like.path) as source:
        first = _first_packets(source, like.stream_index)
        for info in like.streams:
            if info.index == like.stream_index:
                continue
            reason = _trial(source.streams[info.index], first.get(info.index), muxer)
            if reason is not None:
                roomier = ROOMIER.get(muxer)
                reason = f"{muxer} cannot hold it" + (f", {roomier} may" if roomier else "")
            verdicts.append(Verdict(info, reason))
    return verdicts


def _first_packets(source: InputContainer, main: int) -> dict[int, Packet]:
    waiting = {stream.index for stream in source.streams if stream.index != main}
    found: dict[int, Packet] = {}
    if not waiting:
        return found
    source.streams[main].discard = Discard.all
    try:
        for count, packet in enumerate(packets_of(source, [source.streams[index] for index in sorted(waiting)])):
            if packet.size and packet.stream_index in waiting:
                found[packet.stream_index] = packet
                waiting.discard(packet.stream_index)
            if not waiting or count > TRIAL_PACKETS:
                break
    except (av.FFmpegError, ValueError) as fault:
        log.info("trial stopped at an unreadable packet: %s", fault)
    return found


def _trial(stream: Stream, packet: Packet | None, muxer: str) -> str | None:
    memory = io.BytesIO()
    try:
        with av.open(memory, "w", format=muxer) as output:
            copy = add_copy(output, stream)
            output.start_encoding()
            if packet is not None:
                packet.stream = copy
                output.mux(packet)
        if packet is None or isinstance(stream, AttachmentStream):
            return None
        memory.seek(0)
        with av.open(memory, "r") as written:
            if len(written.streams) != 1 or written.streams[0].type != stream.type:
                return "does not come back from the container"
            if _codec_name(written.streams[0]) != _codec_name(stream):
                return "comes back as another format"
            if stream.codec_context is None and _codec_name(stream) is None:
                return "of a format FFmpeg does not know"
    except (av.FFmpegError, ValueError, RuntimeError) as fault:
        return str(getattr(fault, "strerror", None) or fault)
    return None


def _codec_name(stream: Stream) -> str | None:
    context = stream.codec_context
    return context.codec.canonical_name if context is not None else getattr(stream, "name", None)


def add_copy(output: OutputContainer, stream: Stream) -> Stream:
    """Add a stream to `output` that takes the packets of `stream` as they are."""
    if isinstance(stream, AttachmentStream):
        copy: Stream = output.add_attachment(
            stream.name or "attachment", stream.mimetype or "application/octet-stream", stream.data
        )
    elif stream.codec_context is None:
        copy = output.add_stream_from_template(stream)
    else:
        copy = output.add_stream_from_template(stream, opaque=True)
        if stream.type == "video" and output.format.name in ("mp4", "mov"):
            tag = stream.codec_context.codec_tag
            if tag.strip("\0"):
                copy.codec_context.codec_tag = tag
    set_tags(copy, stream.metadata)
    copy.disposition = stream.disposition
    return copy


def set_tags(stream: Stream, tags: Mapping[str, str]) -> None:
    """Replace the tags of an output stream."""
    stream.metadata.clear()
    stream.metadata.update(tags)


class PacketCopier:
    """Feeds the packets of the copied streams to the output, up to a given time, from a demuxer of its own.

    Only what lies between the last asked time and the next is in memory.
    """

    def __init__(self, like: VideoInfo, indices: Collection[int], raw: bool = False) -> None:
        """
        Args:
            indices: the source streams to copy.
            raw: read every packet that is stored, also those an edit list hides.
        """
        self._source = open_input(like.path, {"ignore_editlist": "1"} if raw else {})
        self._indices = indices
        for stream in self._source.streams:
            if stream.index not in indices:
                stream.discard = Discard.all
        self._copies: dict[int, Stream] = {}
        self._stretch: tuple[Fraction, Fraction | None] | None = None
        self._delay = Fraction(0)
        self._packets = self._read()
        self._waiting: Packet | None = None
        self._next: Packet | None = None
        self.pace = Pace(like.restarts)
        """Which streams came through the restarts of the pictures' clock."""

        self.counts = dict.fromkeys(sorted(indices), 0)
        """Packets copied from each source stream."""

        self.starts: dict[int, Fraction] = {}
        """When the first packet of each source stream is heard or shown, on the output's clock, in seconds."""

        self.moved = 0
        """Packets whose times ran backwards and were moved up, for no container takes such."""

        self.refused = 0
        """Damaged packets that the container does not take."""

        self._reached: dict[int, int] = {}

    def stream(self, index: int) -> Stream:
        """A source stream, as the template of its copy."""
        return self._source.streams[index]

    def bind(self, copies: dict[int, Stream]) -> None:
        """Name the output stream for each copied source stream."""
        self._copies = copies

    def trim(self, start: Fraction, end: Fraction | None) -> None:
        """Copy only packets that sound or show between two source times, moved so that `start` becomes 0."""
        self._stretch = (start, end)

    def delay(self, time: Fraction) -> None:
        """Move all packets to later times."""
        self._delay = time

    def copy_until(self, output: OutputContainer, time: Fraction | None) -> None:
        """Mux packets up to `time`, on the output's clock; all that remain for None."""
        while True:
            if self._next is None:
                self._next = self._following(time)
            packet = self._next
            if packet is None:
                return
            stamp = packet.dts if packet.dts is not None else packet.pts
            if time is not None and stamp is not None and stamp * packet.time_base > time:
                return
            self._next = None
            index = packet.stream_index
            self._put_in_order(packet, output)
            shown = packet.pts if packet.pts is not None else packet.dts
            if shown is not None:
                self.starts.setdefault(index, shown * packet.time_base)
            packet.stream = self._copies[index]
            with refusals(self):
                output.mux(packet)
                self.counts[index] += 1

    def _following(self, time: Fraction | None) -> Packet | None:
        """The next wanted packet; None behind the last, and where the pictures have to be read further first."""
        while True:
            self._waiting = packet = self._waiting or next(self._packets, None)
            if packet is None or not self.pace.place(packet, time):
                return None
            self._waiting = None
            if self._in_stretch(packet):
                return packet

    def _put_in_order(self, packet: Packet, output: OutputContainer) -> None:
        """Damaged files repeat packets or swap them."""
        dts, index = packet.dts, packet.stream_index
        if dts is None:
            return
        ties = packet.stream.type in ("subtitle", "data") or bool(output.format.flags & TIES_ALLOWED)
        lowest = self._reached.get(index, dts - 1) + (0 if ties else 1)
        late = packet.pts is not None and packet.pts < max(dts, lowest)
        if dts < lowest or late:
            packet.dts = max(dts, lowest)
            packet.pts = packet.dts if late else packet.pts
            self.moved += 1
        self._reached[index] = max(dts, lowest)

    def close(self) -> None:
        self._source.close()

    def _read(self) -> Iterator[Packet]:
        streams = [stream for stream in self._source.streams if stream.index in self._indices]
        if not streams:
            return
        try:
            for packet in packets_of(self._source, streams):
                if packet.size:
                    yield packet
        except (av.FFmpegError, ValueError) as fault:
            log.info("copied streams end early: %s", fault)

    def _in_stretch(self, packet: Packet) -> bool:
        """Whether any of the packet is wanted; moves its times."""
        if packet.stream.disposition & Disposition.attached_pic:
            return True
        start, end = self._stretch or (-self._delay, None)
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None:
            return True
        base = packet.time_base
        if end is not None and stamp * base >= end:
            return False
        if start:  # what primes a decoder lies before zero
            if self._stretch is not None and (stamp + (packet.duration or 0)) * base <= start:
                return False
            shift = round(start / base)
            packet.pts = None if packet.pts is None else packet.pts - shift
            packet.dts = None if packet.dts is None else packet.dts - shift
        if self._stretch is not None and packet.stream.type == "subtitle" and packet.pts is not None:
            _cut_words(packet, packet.pts, None if end is None else round((end - start) / base))
        return True


@contextlib.contextmanager
def refusals(copier: PacketCopier | None) -> Iterator[None]:
    """Go on where the container refuses a damaged packet of the copied streams; without such, nothing is forgiven.

    Packets wait for their turn, so one may be refused while another is muxed, or at the end. One of the pictures'
    would be missed in the check of the finished file.
    """
    try:
        yield
    except (av.InvalidDataError, av.ArgumentError) as fault:
        if copier is None:
            raise
        log.info("a damaged packet is refused: %s", fault)
        copier.refused += 1


def _cut_words(packet: Packet, shown: int, end: int | None) -> None:
    """Show a subtitle from zero on, and until `end`; behind one that begins before, FFmpeg reads all others early.

    Args:
        shown: when it would be shown; ticks, as `end` is.
    """
    until = shown + (packet.duration or 0)
    packet.pts = packet.dts = max(shown, 0)
    if packet.duration:
        packet.duration = (until if end is None else min(until, end)) - packet.pts
