"""Writes a video like its source: the picture stream encoded anew, all else carried over, whole or not at all."""

from __future__ import annotations

import logging
import os
import struct
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Protocol

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream
from torch import Tensor

from selfhvd_cli.errors import SelfHVDError, UsageFault
from selfhvd_cli.video import graft
from selfhvd_cli.video.container import (
    COARSE_CLOCKS,
    QUICKTIME,
    Layout,
    clock_of,
    container_options,
    describe_stream,
    plan_layout,
)
from selfhvd_cli.video.encoders import UNFIT, EncoderPlan, Encoding, open_test, plan_encoders, refuse_unavailable
from selfhvd_cli.video.frame import SourceFrame
from selfhvd_cli.video.frames_folder import FolderWriter, is_frames_target
from selfhvd_cli.video.info import VideoInfo, open_input
from selfhvd_cli.video.output_file import OutputFile
from selfhvd_cli.video.passthrough import PacketCopier, add_copy, set_tags
from selfhvd_cli.video.pixels import Signal, add_change, layout_of, planar_format, to_format
from selfhvd_cli.video.receipt import Receipt
from selfhvd_cli.video.tags import changed_dates, tags_for, without_container_tags
from selfhvd_cli.video.verify import verify

log = logging.getLogger(__name__)

class Writer(Protocol):
    """What both a video file and a folder of frames offer; a context manager."""

    receipt: Receipt

    def __enter__(self) -> Writer: ...

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def write(self, frame: SourceFrame, restored: Tensor | None = None) -> None: ...


def open_writer(
    target: Path,
    like: VideoInfo,
    encoding: Encoding | None = None,
    overwrite: bool = False,
    start: Fraction | None = None,
    duration: Fraction | None = None,
) -> Writer:
    """A writer for a video file, or for a folder of frames where `target` has no file suffix.

    Args:
        like: the source, as its reader describes it.
        start, duration: the stretch of the source the frames come from, as given to the reader.

    Raises:
        UsageFault: the target is the input, exists already, or has an unknown suffix.
        DiskFault: it cannot be written there.
        EnvironmentFault: no encoder works.
    """
    if is_frames_target(Path(target)):
        return FolderWriter(Path(target), like, overwrite)
    return VideoWriter(Path(target), like, encoding or Encoding(), overwrite, start, duration)


class VideoWriter:
    """Encodes frames into a file and copies everything else of the source.

    Leaving it normally checks the file and puts it in place; leaving it by an error leaves nothing behind.
    """

    def __init__(
        self,
        target: Path,
        like: VideoInfo,
        encoding: Encoding = Encoding(),  # noqa: B008 (frozen)
        overwrite: bool = False,
        start: Fraction | None = None,
        duration: Fraction | None = None,
    ) -> None:
        if target.is_dir():
            raise UsageFault(f"{target}: is a folder; name the output file.")
        self.file = OutputFile(target, like.path, overwrite)
        self.like, self.encoding = like, encoding
        self.start, self.length = start or Fraction(0), duration
        self.trimmed = bool(start) or duration is not None
        self.layout: Layout = plan_layout(target, like, self.trimmed)
        self._base = clock_of(self.layout, like)
        self.receipt = Receipt()
        """What was kept and what was not; complete once the writer has been left."""

        self._times: list[Fraction] = []
        self._durations: dict[int, int] = {}
        self._shift: int | None = None
        self._delay = Fraction(0)
        self._last_pts: int | None = None
        self._last_time: Fraction | None = None
        self._last_duration = Fraction(0)
        self._held: Packet | None = None
        self._first_dts: int | None = None
        self._copier: PacketCopier | None = None
        self._output: OutputContainer | None = None

    def __enter__(self) -> VideoWriter:
        try:
            with self.file.disk_faults():
                self._open()
        except BaseException:
            self._abandon()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._abandon()
            return
        try:
            with self.file.disk_faults():
                self._finish()
        except BaseException:
            self._abandon()
            raise

    def write(self, frame: SourceFrame, restored: Tensor | None = None) -> None:
        """Encode one frame; frames come in order.

        Args:
            restored: `[3, H, W]` RGB in [0, 1]. Its difference to `frame.rgb()` is added to the frame's own planes,
                so what is not changed stays bit-exact. None encodes the frame as it was decoded.

        Raises:
            DiskFault: the disk is full or gone.
        """
        assert self._output is not None, "a writer is used inside a with statement"
        with self.file.disk_faults():
            picture = self._picture(frame, restored)
            frame.forget()
            self._stamp(frame, picture)
            self._mux(self._stream.encode(picture))

    # -- opening ---------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        self._plan, self._output = self._open_encoder()
        self._output.metadata.update(self._tags())
        if self.layout.donor is None or self.trimmed:
            self._set_chapters(self._output)
        self._output.start_encoding()
        self._say_what_changes()

    def _open_encoder(self) -> tuple[EncoderPlan, OutputContainer]:
        """The first encoder that opens, in a container with all streams."""
        tried = []
        for plan in plan_encoders(self.like, self.encoding, self.layout.muxer):
            options = container_options(self.layout, self.like, self.trimmed)
            output = av.open(str(self.file.part), "w", format=self.layout.muxer, container_options=options)
            try:
                if plan.family in UNFIT.get(self.layout.muxer, ()):
                    raise ValueError(plan.family)
                self._add_streams(output, plan)
            except ValueError:
                tried.append(f"{self.layout.muxer} cannot hold {plan.family}")
                continue
            if self.encoding.hardware or plan.encoder not in ("libx264", "libx265"):
                reason = open_test(plan, self.like.width, self.like.height, self._base)
                if reason is not None:
                    tried.append(f"{plan.encoder} does not open: {reason}")
                    continue
            for reason in tried:
                self.receipt.note("encoder", reason)
            return plan, output
        raise refuse_unavailable(self.encoding, self.layout.muxer, tried)

    def _add_streams(self, output: OutputContainer, plan: EncoderPlan) -> None:
        """All streams in the source's order."""
        if self.like.container == "frames":
            self._stream = self._add_picture(output, plan)
            return
        if self._copier is not None:
            self._copier.close()
        raw = self.layout.donor is not None and not self.trimmed
        copier = self._copier = PacketCopier(self.like, self.layout.copied, raw)
        copies: dict[int, Stream] = {}
        for index in range(len(self.like.streams)):
            if index == self.like.stream_index:
                self._stream = self._add_picture(output, plan)
            elif index in self.layout.copied:
                copies[index] = add_copy(output, copier.stream(index))
                if self.start:
                    set_tags(copies[index], tags_for(copies[index].metadata, self.start))
        copier.bind(copies)

    def _add_picture(self, output: OutputContainer, plan: EncoderPlan) -> VideoStream:
        like = self.like
        stream = output.add_stream(plan.encoder, rate=like.frame_rate, options=dict(plan.options))
        assert isinstance(stream, VideoStream)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = like.width, like.height, plan.pixel_format
        context.time_base = stream.time_base = self._base
        context.color_primaries, context.color_trc = plan.color.primaries, plan.color.transfer
        context.colorspace, context.color_range = plan.color.matrix, plan.color.range
        if like.sample_aspect_ratio:
            context.sample_aspect_ratio = like.sample_aspect_ratio
        if like.interlaced:
            context.field_order = like.field_order
        if plan.tag is not None:
            context.codec_tag = plan.tag
        if like.display_matrix is not None:
            stream.set_display_matrix(like.display_matrix)
        if like.container != "frames":
            set_tags(stream, tags_for(like.main_stream.metadata, self.start))
            stream.disposition = Disposition(like.main_stream.disposition)
        return stream

    def _tags(self) -> dict[str, str]:
        """The clip's tags, without those of a container the output is not."""
        tags = tags_for(self.like.metadata, self.start)
        mp4 = self.like.container.startswith("mov") or self.layout.muxer in QUICKTIME
        return without_container_tags(tags, mp4)

    def _set_chapters(self, output: OutputContainer) -> None:
        if not self.like.chapters:
            return
        end = None if self.length is None else self.start + self.length
        chapters = []
        for number, chapter in enumerate(self.like.chapters):
            first = max(chapter.start - self.start, Fraction(0))
            last = (chapter.end if end is None else min(chapter.end, end)) - self.start
            if last > first:
                chapters.append(
                    {
                        "id": number,
                        "start": round(first * 1000),
                        "end": round(last * 1000),
                        "time_base": Fraction(1, 1000),
                        "metadata": dict(chapter.metadata),
                    }
                )
        output.set_chapters(chapters)  # type: ignore[arg-type]

    def _say_what_changes(self) -> None:
        for verdict in self.layout.left_out:
            self.receipt.leave_out(describe_stream(self.layout, verdict.stream), verdict.reason or "")
        for note in self._plan.notes:
            self.receipt.change("video", note)
        if self.like.dolby_vision:
            self.receipt.leave_out(
                "Dolby Vision metadata", "cannot be kept with changed pictures; the HDR base layer is, with its tags"
            )
        if self.trimmed:
            self.receipt.note("trimmed", "sound is cut between its packets, capture dates moved to the new beginning")
        if self._base != self.like.time_base:
            self.receipt.change("frame times", f"{self.layout.muxer} holds evenly spaced frames only")
        tick = COARSE_CLOCKS.get(self.layout.muxer)
        if tick is not None and (self._base / tick).denominator != 1:
            rounded = f"{self.layout.muxer} rounds them to {float(tick * 1000):.3g} ms; mp4 and mov do not"
            self.receipt.change("frame times", rounded)

    # -- frames ----------------------------------------------------------------------------------------------------

    def _picture(self, frame: SourceFrame, restored: Tensor | None) -> av.VideoFrame:
        """The frame in the encoder's pixel format, changed by the restoration."""
        wanted, picture, signal = self._plan.pixel_format, frame.picture, frame.signal
        if restored is None:
            return self._converted(picture, wanted, signal)
        if restored.shape != (3, frame.picture.height, frame.picture.width):
            raise ValueError(f"restored must be [3, {picture.height}, {picture.width}], got {tuple(restored.shape)}")
        before = frame.rgb()
        work = wanted if layout_of(wanted) is not None else planar_format(wanted)
        planar = self._converted(picture, work, signal)
        planar.make_writable()
        add_change(planar, before, restored, self._signal_of(work, signal))
        return self._converted(planar, wanted, signal)

    def _converted(self, picture: av.VideoFrame, name: str, signal: Signal) -> av.VideoFrame:
        if picture.format.is_rgb and not name.startswith(("gbr", "rgb", "bgr")):
            return picture.reformat(format=name, dst_colorspace=1, dst_color_range=1)
        return to_format(picture, name, signal)

    def _signal_of(self, pixel_format: str, source: Signal) -> Signal:
        if self.like.planar_format.startswith("gbr") and not pixel_format.startswith("gbr"):
            return Signal(1, full_range=False)
        return source

    def _stamp(self, frame: SourceFrame, picture: av.VideoFrame) -> None:
        """Give the picture its time on the output's clock, and note what to expect in the file."""
        base = self._base
        pts = round(frame.time / base)
        if self._shift is None:
            self._shift = pts if self.trimmed else min(0, pts)
            if self.trimmed and self._copier is not None:
                end = None if self.length is None else self.like.start_time + self.start + self.length
                self._copier.trim(frame.time, end)
            elif self._shift < 0:
                self._start_later(-self._shift * base)
        pts -= self._shift
        if self._last_time is not None and frame.time <= self._last_time:
            raise ValueError("frames must be written in the order of their times")
        if self._last_pts is not None:
            pts = max(pts, self._last_pts + 1)
        self._last_pts, self._last_time = pts, frame.time
        picture.pts, picture.time_base = pts, base
        picture.pict_type = 0  # the encoder decides; the decoder's choice would force it
        self._times.append(pts * base)
        self._durations[pts] = max(0, round(frame.duration / base))
        self._last_duration = frame.duration

    def _start_later(self, delay: Fraction) -> None:
        """Pictures that begin before zero would be hidden by players: everything moves, in step."""
        self.receipt.change("start", f"the pictures began {float(delay):.3f} s before zero; all streams moved so far")
        self._delay = delay
        if self._copier is not None and self.layout.donor is None:
            self._copier.delay(delay)

    def _mux(self, packets: list[Packet]) -> None:
        assert self._output is not None
        for packet in packets:
            if packet.pts is not None and (length := self._durations.pop(packet.pts, 0)):
                packet.duration = length
            held, self._held = self._held, packet
            if held is not None:
                self._send(held)

    def _send(self, packet: Packet) -> None:
        assert self._output is not None
        if self._first_dts is None:
            self._first_dts = packet.dts
        if self._copier is not None and packet.dts is not None:
            self._copier.copy_until(self._output, packet.dts * packet.time_base)
        self._output.mux_one(packet)

    def _send_last(self) -> None:
        """The packet that comes last in the file makes the stream as long as the pictures are shown."""
        packet, self._held = self._held, None
        if packet is None:
            return
        if packet.dts is not None and self._first_dts is not None:
            whole = round((self._end() - self._times[0]) / self._base)
            packet.duration = max(whole - (packet.dts - self._first_dts), 0) or packet.duration
        self._send(packet)

    # -- closing ---------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        assert self._output is not None
        if not self._times:
            raise SelfHVDError(f"{self.file.target}: no frame was written.")
        rest = self._stream.encode(None)
        if self._held is None:
            _set_decoding_times(rest)
        self._mux(rest)
        self._send_last()
        if self._copier is not None:
            self._copier.copy_until(self._output, None)
        self._output.close()
        self._output = None
        if self.layout.donor is not None:
            self._graft(self.layout.donor)
        tolerance = COARSE_CLOCKS.get(self.layout.muxer, Fraction(0))
        verify(self.file.part, self.layout.muxer, self._times, max(tolerance, self._base / 2))
        self._say_what_was_kept()
        if self._copier is not None:
            self._copier.close()
        if self.like.path.is_file():
            stat = os.stat(self.like.path)
            os.utime(self.file.part, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        self.file.commit()

    def _end(self) -> Fraction:
        """When the last frame goes: as its source says, cut where an edit list ends the clip before."""
        last, length = self._times[-1], self._last_duration or 1 / self.like.frame_rate
        if self.trimmed or self.like.duration is None:
            return last + length
        end = self.like.start_time + self.like.duration + self._delay
        return end if last < end <= last + max(3 * length, 2 / self.like.frame_rate) else last + length

    def _graft(self, donor: graft.Donor) -> None:
        streams, main = self.like.streams, self.like.main_stream
        written = [each.id for each in streams if each.index in self.layout.copied or each is main]
        plan = graft.Graft(
            muxed=tuple(written),
            main=main.id,
            carried=tuple(streams[index].id for index in self.layout.carried),
            same_kind=self.layout.same_kind,
            same_codec=self._plan.family == self.like.codec,
            start=self.start if self.trimmed else None,
            delay=self._delay,
            first=self._times[0],
            last=self._end(),
            dates=changed_dates(self.like.metadata, self.start),
        )
        try:
            graft.apply(donor, self.file.part, plan)
        except (ValueError, struct.error, IndexError) as fault:
            raise SelfHVDError(
                f"{self.file.target}: the tracks of the source could not be carried over ({fault}); "
                "write to a .mkv file instead."
            ) from fault

    def _say_what_was_kept(self) -> None:
        self.receipt.keep(f"{len(self._times)} frames", "at their own times")
        if self._copier is not None:
            for stream in self.like.streams:
                if stream.index in self._copier.counts:
                    self.receipt.keep(str(stream), f"{self._copier.counts[stream.index]} packets, bit-identical")
                elif stream.index in self.layout.carried:
                    self.receipt.keep(describe_stream(self.layout, stream), "the whole track, bit-identical")
                elif stream.index in self.layout.covers:
                    self.receipt.keep(str(stream), "cover picture")
        if self.like.metadata:
            self._compare_tags()
        if self.like.display_matrix is not None:
            self.receipt.keep("orientation")
        if self.like.chapters:
            self.receipt.keep(f"{len(self.like.chapters)} chapters")

    def _compare_tags(self) -> None:
        with open_input(self.file.part) as written:
            found = {name.lower(): value for name, value in written.metadata.items()}
        wanted = self._tags()
        lost = [name for name, value in wanted.items() if found.get(name.lower()) != value]
        if len(lost) < len(wanted):
            self.receipt.keep(f"{len(wanted) - len(lost)} tags")
        for name in lost:
            if name.lower() in found:
                self.receipt.change(f"tag {name}", f"{wanted[name]!r} is stored as {found[name.lower()]!r}")
            else:
                self.receipt.leave_out(f"tag {name}", f"{self.layout.muxer} has no place for it")

    def _abandon(self) -> None:
        """Leave nothing behind, whatever state the output is in."""
        if self._copier is not None:
            self._copier.close()
            self._copier = None
        output, self._output = self._output, None
        if output is not None:
            try:
                output.close()
            except (av.FFmpegError, OSError, ValueError) as fault:
                log.info("closing the abandoned output: %s", fault)
        self.file.discard()


def _set_decoding_times(packets: list[Packet]) -> None:
    """Give the packets of a short clip decoding times: x265 leaves them unset where it ends before its first delay."""
    stamps = [packet.pts for packet in packets if packet.pts is not None]
    if len(stamps) != len(packets):
        return
    delay = max((early - late for early, late in zip(sorted(stamps), stamps, strict=True)), default=0)
    for packet, stamp in zip(packets, sorted(stamps), strict=True):
        packet.dts = stamp - delay
