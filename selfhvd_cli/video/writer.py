"""Writes a video like its source: the picture stream encoded anew, all else carried over, whole or not at all."""

from __future__ import annotations

import contextlib
import logging
import os
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
from av.packet import Packet
from torch import Tensor

from selfhvd_cli.counting import counted
from selfhvd_cli.errors import SelfHVDError, UsageFault
from selfhvd_cli.video.codes import Codes
from selfhvd_cli.video.container import COARSE_CLOCKS, LARGEST_TIMESCALE, QUICKTIME, plan_layout
from selfhvd_cli.video.covers import is_cover
from selfhvd_cli.video.donor import Donor
from selfhvd_cli.video.encoders import Encoding
from selfhvd_cli.video.frame import SourceFrame
from selfhvd_cli.video.graft import Graft, carry_over
from selfhvd_cli.video.info import VideoInfo
from selfhvd_cli.video.muxing import Job, Opened, chapters_within, open_output
from selfhvd_cli.video.opening import raise_if_out_of_memory
from selfhvd_cli.video.output_file import OutputFile
from selfhvd_cli.video.passthrough import refusals
from selfhvd_cli.video.picture_stream import PictureStream
from selfhvd_cli.video.pixel_formats import PixelLayout, layout_of
from selfhvd_cli.video.receipt import Receipt
from selfhvd_cli.video.receipt_lines import say_plan, say_result
from selfhvd_cli.video.restored_picture import restored_picture, work_format
from selfhvd_cli.video.segments import Keeper
from selfhvd_cli.video.tags import changed_dates
from selfhvd_cli.video.verify import verify

log = logging.getLogger(__name__)


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
        self.like = like
        layout = plan_layout(target, like, encoding, trimmed=bool(start) or duration is not None)
        self.job = Job(self.file.part, like, layout, encoding, start or Fraction(0), duration)
        self.receipt = Receipt()
        """What was kept and what was not; complete once the writer has been left."""

        self._opened: Opened | None = None
        self._pictures: PictureStream | None = None
        self._shift: int | None = None
        self._begins = Fraction(0)
        self._delay = Fraction(0)
        self._last: SourceFrame | None = None

    def __enter__(self) -> VideoWriter:
        with self._faults():
            self.file.claim()
        try:
            with self._faults():
                self._opened = open_output(self.job)
                self._pictures = PictureStream(self.job, self._opened, self._send)
                say_plan(self.receipt, self.job, self._opened)
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
            with self._faults():
                self._finish()
        except BaseException:
            self._abandon()
            raise

    def keep(self, keeper: Keeper) -> bool:
        """Write in segments that `keeper` gets, or has; before the first frame. False where the encoder cannot."""
        assert self._pictures is not None, "a writer is used inside a with statement"
        with self._faults():
            return self._pictures.keep(keeper)

    def in_words(self) -> str:
        """What must be the same for segments of two runs to make one file."""
        assert self._pictures is not None, "a writer is used inside a with statement"
        return self._pictures.encoder_in_words()

    @property
    def layout(self) -> PixelLayout | None:
        """In what layout it also takes codes in place of RGB; None where in none."""
        assert self._opened is not None, "a writer is used inside a with statement"
        return layout_of(work_format(self._opened.plan.pixel_format))

    def write(self, frame: SourceFrame, restored: Tensor | Codes | None = None) -> None:
        """Encode one frame; frames come in order.

        Args:
            restored: `[3, H, W]` RGB in [0, 1]. Its difference to `frame.rgb()` is added to the frame's own planes,
                so what is not changed stays bit-exact. Or these planes' new codes. None encodes the frame as it was
                decoded. Of no account for a frame of a kept segment.

        Raises:
            DiskFault: the disk is full or gone.
        """
        assert self._opened is not None, "a writer is used inside a with statement"
        assert self._pictures is not None
        if self._last is not None and frame.time <= self._last.time:
            raise ValueError("frames must be written in the order of their times")
        pixel_format = self._opened.plan.pixel_format
        with self._faults():
            base = self.job.time_base
            tick = round(frame.time / base)
            if self._shift is None:
                self._shift = self._begin(frame, tick)
            length = max(0, round(frame.duration / base))
            self._pictures.add(tick - self._shift, length, lambda: restored_picture(frame, restored, pixel_format))
            frame.forget()
            self._last = frame

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        with self.file.disk_faults():
            try:
                yield
            except av.FFmpegError as fault:
                raise_if_out_of_memory(fault)
                if isinstance(fault, OSError) and fault.errno is not None and fault.errno > 0:
                    raise
                raise SelfHVDError(f"{self.file.target}: encoding failed ({fault.strerror}).") from fault

    def _begin(self, frame: SourceFrame, pts: int) -> int:
        """The tick of the source that is the output's zero."""
        assert self._opened is not None
        copier = self._opened.copier
        if self.job.trimmed:
            self._begins = frame.time
            self._opened.output.set_chapters(chapters_within(self.job, frame.time))  # type: ignore[arg-type]
            if copier is not None:
                length = self.job.length
                copier.trim(frame.time, None if length is None else self.like.start_time + self.job.start + length)
            return pts
        if pts >= 0:
            return 0
        delay = self._delay = -pts * self.job.time_base  # players hide what lies before zero: everything moves
        self.receipt.change("start", f"the pictures began {float(delay):.3f} s before zero; all streams moved so far")
        if copier is not None and self.job.layout.donor is None:
            copier.delay(delay)
        return pts

    def _send(self, packet: Packet) -> None:
        """Mux a packet of the pictures, and before it what else comes first."""
        assert self._opened is not None
        output, copier = self._opened.output, self._opened.copier
        if copier is not None and packet.dts is not None:
            copier.copy_until(output, packet.dts * packet.time_base)
        with refusals(copier):
            output.mux_one(packet)

    def _end(self) -> Fraction:
        """When the last frame goes: as its source says, cut where an edit list ends the clip before."""
        assert self._last is not None
        assert self._pictures is not None
        last, length = self._pictures.last_time, self._last.duration or 1 / self.like.frame_rate
        if self.job.trimmed or self.like.duration is None:
            return last + length
        end = self.like.start_time + self.like.duration + self._delay
        return end if last < end <= last + max(3 * length, 2 / self.like.frame_rate) else last + length

    def _finish(self) -> None:
        assert self._opened is not None
        assert self._pictures is not None
        opened, layout = self._opened, self.job.layout
        if self._last is None:
            raise SelfHVDError(f"{self.file.target}: no frame was written.")
        self._pictures.finish(self._end())
        times = self._pictures.times
        if opened.copier is not None:
            opened.copier.copy_until(opened.output, None)
        with refusals(opened.copier):
            opened.output.close()
        if layout.donor is not None:
            self._graft(layout.donor, opened, times[0])
        coarse = COARSE_CLOCKS.get(layout.muxer, Fraction(1, 2 * LARGEST_TIMESCALE))
        tolerance = max(coarse, self.job.time_base / 2)
        place = self._place_of_pictures(opened)
        verify(self.file.part, layout.muxer, times, tolerance, place)
        say_result(self.receipt, self.job, opened, times, self._begins, place)
        if opened.copier is not None and opened.copier.moved:
            backwards = f"{opened.copier.moved} ran backwards in the source and were moved up"
            self.receipt.change("packet times", backwards)
        if opened.copier is not None and opened.copier.refused:
            self.receipt.leave_out(counted(opened.copier.refused, "packet"), "damaged in the source")
        self._close()
        if self.like.path.is_file():
            stat = os.stat(self.like.path)
            os.utime(self.file.part, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        self.file.commit()

    def _place_of_pictures(self, opened: Opened) -> int:
        """Among the output's video streams, covers aside, which keep the source's order: a motion photo has several.

        mp4 and mov have no track for a stream of which nothing came, Matroska has.
        """
        layout, counts = self.job.layout, opened.copier.counts if opened.copier is not None else {}
        before = [
            stream.index
            for stream in self.like.streams[: self.like.stream_index]
            if stream.kind == "video" and not is_cover(stream)
        ]
        empty = layout.copied if layout.muxer not in QUICKTIME else ()
        return sum(bool(counts.get(index)) or index in layout.carried or index in empty for index in before)

    def _graft(self, donor: Donor, opened: Opened, first: Fraction) -> None:
        like, layout = self.like, self.job.layout
        counts = opened.copier.counts if opened.copier is not None else {}
        # FFmpeg writes no track for a stream of which nothing could be read.
        written = [each.id for each in like.streams if counts.get(each.index) or each is like.main_stream]
        plan = Graft(
            muxed=tuple(written),
            main=like.main_stream.id,
            carried=tuple(like.streams[index].id for index in layout.carried),
            same_kind=layout.same_kind,
            same_codec=opened.plan.family == like.codec,
            start=self.job.start if self.job.trimmed else None,
            begin=self._begins,
            delay=self._delay,
            first=first,
            last=self._end(),
            dates=changed_dates(like.metadata, self.job.start),
        )
        try:
            carry_over(donor, self.file.part, plan)
        except (ValueError, struct.error, IndexError) as fault:
            raise SelfHVDError(
                f"{self.file.target}: the tracks of the source could not be carried over ({fault}); "
                "write to a .mkv file instead."
            ) from fault

    def _close(self) -> None:
        opened, self._opened = self._opened, None
        if self._pictures is not None:
            self._pictures.close()
        if opened is not None:
            if opened.copier is not None:
                opened.copier.close()
            opened.output.close()

    def _abandon(self) -> None:
        """Leave nothing behind, whatever state the output is in."""
        try:
            self._close()
        except (av.FFmpegError, OSError, ValueError) as fault:
            log.info("closing the abandoned output: %s", fault)
        self.file.discard()
