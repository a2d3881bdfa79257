"""The picture stream of an output: encoders one after another, and one sequence of packets from all of them.

Without a keeper one encoder takes all pictures. With one, every segment has an encoder of its own, opened alike, so
its packets depend on nothing before it: a run that goes on from kept segments writes the same bytes as one that was
never cut off. A reader of the file sees one stream with a keyframe where a segment begins.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable
from fractions import Fraction

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from selfhvd_cli.errors import SelfHVDError
from selfhvd_cli.video.muxing import Job, Opened, add_picture
from selfhvd_cli.video.priority import priority_kept
from selfhvd_cli.video.segments import Keeper, Piece


class PictureStream:
    """Takes pictures in order of their times; hands on packets in decoding order, the last of them in `finish`."""

    def __init__(self, job: Job, opened: Opened, send: Callable[[Packet], None]) -> None:
        self._job = job
        self._opened = opened
        self._send = send
        self._encoder: VideoStream | None = opened.stream
        self._spare: OutputContainer | None = None
        self._keeper: Keeper | None = None
        self._ticks: list[int] = []
        self._lengths: dict[int, int] = {}
        self._passed = 0
        self._early = 0
        self._start: int | None = None
        self._held: Packet | None = None

    @property
    def times(self) -> list[Fraction]:
        """Presentation times of all frames so far, seconds."""
        return [tick * self._job.time_base for tick in self._ticks]

    @property
    def last_time(self) -> Fraction:
        """The last of them."""
        return self._ticks[-1] * self._job.time_base

    def encoder_in_words(self) -> str:
        """Everything that two runs' encoders must share for their packets to make one stream."""
        plan = self._opened.plan
        options = ",".join(f"{key}={value}" for key, value in sorted(plan.options.items()))
        extra = hashlib.sha256(self._opened.stream.codec_context.extradata or b"").hexdigest()[:16]
        size = f"{self._job.like.width}x{self._job.like.height}"
        return f"{self._job.layout.muxer} {plan.encoder} {plan.pixel_format} {size} {options} {extra}"

    def keep(self, keeper: Keeper) -> bool:
        """Keep segments from the first frame on; False, and nothing changes, where encoders opened alike differ."""
        assert not self._ticks, "segments are kept from the first frame on"
        self._begin_encoder()
        assert self._encoder is not None
        if self._encoder.codec_context.extradata != self._opened.stream.codec_context.extradata:
            self.close()
            self._encoder = self._opened.stream
            return False
        # The output's own encoder stays unused, and small: it cannot be let go before the output ends.
        self._keeper = keeper
        if keeper.kept:
            self.close()
        return True

    def is_kept(self) -> bool:
        """Whether the next frame is in a kept segment, so that nobody needs its picture."""
        return self._keeper is not None and len(self._ticks) < self._keeper.kept

    def add(self, tick: int, length: int, picture: Callable[[], av.VideoFrame]) -> None:
        """The next frame.

        Args:
            tick: when it is shown, on the output's clock; moved up where it would be shown before the frame before.
            length: for how long; 0 where that is not known.
            picture: gives it; not asked for a frame of a kept segment.
        """
        kept = self.is_kept()
        if self._ticks:
            tick = max(tick, self._ticks[-1] + 1)
        self._ticks.append(tick)
        if not kept:
            self._lengths[tick] = length
            self._encode(tick, picture())
        if self._keeper is None or len(self._ticks) % self._keeper.length:
            return
        if kept:
            for piece in self._keeper.pieces(len(self._ticks) // self._keeper.length - 1):
                self._hand_on(piece.packet(self._opened.stream, self._job.time_base))
            self.close()
        else:
            self._end_segment()

    def finish(self, end: Fraction) -> None:
        """Hand on what is left; the last packet makes the stream as long as the pictures are shown, until `end`."""
        if self._encoder is not None:
            rest = self._encoder.encode(None)
            if self._held is None:
                _set_decoding_times(rest)
            self._take(rest)
        packet, self._held = self._held, None
        if packet is None:
            return
        if packet.dts is not None and self._start is not None:
            whole = round((end - self._ticks[0] * self._job.time_base) / self._job.time_base)
            packet.duration = max(whole - (packet.dts - self._start), 0) or packet.duration
        self._send(packet)

    def close(self) -> None:
        """Let the encoders go."""
        self._encoder = None
        if self._spare is not None:
            self._spare.close()
            self._spare = None

    def _encode(self, tick: int, picture: av.VideoFrame) -> None:
        picture.pts, picture.time_base = tick, self._job.time_base
        picture.pict_type = 0  # the encoder decides; the decoder's choice would force it
        if self._encoder is None:
            self._begin_encoder()
        assert self._encoder is not None
        self._take(self._encoder.encode(picture))

    def _end_segment(self) -> None:
        assert self._keeper is not None
        assert self._encoder is not None
        self._take(self._encoder.encode(None))
        first = self._opened.stream.codec_context.extradata
        if self._encoder.codec_context.extradata != first:
            raise SelfHVDError(
                f"{self._opened.plan.encoder} describes its segments differently; run again with --no-resume."
            )
        self._keeper.close_segment()
        self.close()

    def _begin_encoder(self) -> None:
        """Open another encoder like the output's own, in a container that is never written."""
        self._spare = av.open(io.BytesIO(), "w", format=self._job.layout.muxer)
        self._encoder = add_picture(self._job, self._spare, self._opened.plan)
        with priority_kept():
            self._encoder.codec_context.open()

    def _take(self, packets: Iterable[Packet]) -> None:
        """Packets as they come out of an encoder."""
        for packet in packets:
            if packet.pts is not None and (length := self._lengths.pop(packet.pts, 0)):
                packet.duration = length
            if self._keeper is None:
                self._hand_on(packet)
                continue
            assert packet.pts is not None
            dts = packet.dts
            if self._passed >= self._keeper.length:
                # What one encoder for all would give: the frames' times in order, late by what reordering needs.
                dts = min(self._ticks[self._passed - self._early], packet.pts)
            piece = Piece(bytes(packet), packet.pts, dts, packet.duration or 0, packet.is_keyframe)
            self._keeper.add(piece)
            self._hand_on(piece.packet(self._opened.stream, self._job.time_base))

    def _hand_on(self, packet: Packet) -> None:
        """Send all packets but the last, which may turn out to be the file's last."""
        if self._passed == 0:
            self._start = packet.dts
        if packet.dts is not None and packet.dts < self._ticks[0]:
            self._early += 1
        self._passed += 1
        held, self._held = self._held, packet
        if held is not None:
            self._send(held)


def _set_decoding_times(packets: list[Packet]) -> None:
    """Give the packets of a short clip decoding times: x265 leaves them unset where it ends before its delay."""
    stamps = [packet.pts for packet in packets if packet.pts is not None]
    if len(stamps) != len(packets):
        return
    delay = max((early - late for early, late in zip(sorted(stamps), stamps, strict=True)), default=0)
    for packet, stamp in zip(packets, sorted(stamps), strict=True):
        packet.dts = stamp - delay
