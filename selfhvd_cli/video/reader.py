"""Frames of a video file in presentation order, one at a time, with their exact times."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Generator, Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Protocol

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from selfhvd_cli.errors import InputFault
from selfhvd_cli.video.clock import Clock
from selfhvd_cli.video.demuxing import packets_of
from selfhvd_cli.video.frame import SourceFrame
from selfhvd_cli.video.info import VideoInfo
from selfhvd_cli.video.opening import (
    PIXEL_LIMIT,
    keep_libav_quiet,
    open_input,
    raise_if_out_of_memory,
    refuse_absurd_size,
    require_readable,
)
from selfhvd_cli.video.pictures.frame_paths import is_frames_folder
from selfhvd_cli.video.pictures.frames_folder import FolderReader
from selfhvd_cli.video.probe import probe

log = logging.getLogger(__name__)

INDEXED = ("mov", "matroska", "avi")
"""Containers whose index makes seeking cheap; others are decoded from their beginning."""

FAULTS_IN_A_ROW = 25
"""Unreadable stretches with nothing readable between them after which the rest of the file is given up."""

UNREADABLE = (av.FFmpegError, ValueError)
"""What libav raises for damaged data."""


class Reader(Protocol):
    """What both a video file and a folder of frames offer; a context manager."""

    info: VideoInfo
    damaged: int

    def __enter__(self) -> Reader: ...

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __iter__(self) -> Iterator[SourceFrame]: ...


def open_reader(path: Path, start: Fraction | None = None, duration: Fraction | None = None) -> Reader:
    """Open a video file or a folder of numbered frames.

    Args:
        start: seconds after the first frame from which to read.
        duration: seconds to read.

    Raises:
        InputFault: nothing can be read from `path`.
    """
    path = Path(path)
    require_readable(path)
    if is_frames_folder(path):
        return FolderReader(path, start, duration)
    return VideoReader(path, start, duration)


class VideoReader:
    """Decodes the main picture stream of a file; iterating again starts again."""

    def __init__(self, path: Path, start: Fraction | None = None, duration: Fraction | None = None) -> None:
        self.info = probe(Path(path))
        self.start, self.length = start, duration
        self.damaged = 0
        """Packets that could not be decoded and frames the decoder marked as damaged, so far."""

        self._container: InputContainer | None = None

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._container is not None:
            keep_libav_quiet()
            self._container.close()
            self._container = None

    def __iter__(self) -> Iterator[SourceFrame]:
        """Yield the frames between `start` and `start + duration`; times increase strictly.

        Raises:
            InputFault: the file has become unreadable, or no frame lies in the asked stretch.
        """
        earliest, latest = self._stretch()
        count = 0
        for frame in self._timed(self._pictures_from(earliest)):
            if earliest is not None and frame.time < earliest:
                continue
            if latest is not None and frame.time >= latest:
                break
            frame.index = count
            count += 1
            yield frame
        if count == 0:
            raise InputFault(self._nothing())

    def _stretch(self) -> tuple[Fraction | None, Fraction | None]:
        if self.start is None and self.length is None:
            return None, None
        earliest = self.info.start_time + (self.start or 0)
        return (earliest if self.start else None), (None if self.length is None else earliest + self.length)

    def _pictures_from(self, earliest: Fraction | None) -> Iterator[av.VideoFrame]:
        """All decoded pictures that are shown from `earliest` on, and some before; None is from the beginning.

        Seeking leads to a keyframe that is stored before the wanted picture. It may be shown behind it, and what is
        shown between the two needs the keyframe before.
        """
        back = Fraction(0)
        while earliest is not None and earliest - back > self.info.start_time:
            with closing(self._decoded(earliest - back)) as pictures:
                first = next(pictures, None)
                if first is None or first.pts is None:
                    break
                if first.pts * self.info.time_base <= earliest:
                    yield first
                    yield from pictures
                    return
            back = 2 * back or Fraction(1)
        yield from self._decoded(None)

    def _decoded(self, place: Fraction | None) -> Generator[av.VideoFrame, None, None]:
        """Open the file and decode from a keyframe at `place` or before it, or from the beginning.

        Faults are counted instead of raised.
        """
        self.close()
        self.damaged = 0
        self._container = container = open_input(self.info.path)
        stream = container.streams[self.info.stream_index]
        assert isinstance(stream, VideoStream)
        stream.thread_type = "AUTO"
        stream.codec_context.options = dict(PIXEL_LIMIT)
        sought = place is not None and self._seek(container, stream, place)
        timeless: list[int] = []
        for packet in self._packets(container, stream):
            keep_libav_quiet()
            # Behind a seek the decoder may leave pictures out, and which time is whose could not be told.
            if packet.pts is None and packet.dts is not None and not sought:
                heapq.heappush(timeless, packet.dts)
            try:
                frames = packet.decode()
            except UNREADABLE as fault:
                raise_if_out_of_memory(fault)
                log.info("%s: damaged packet: %s", self.info.path.name, fault)
                self.damaged += 1
                if packet.dts in timeless:
                    timeless.remove(packet.dts)
                continue
            for frame in frames:
                if frame.pts is None and timeless:
                    frame.pts = heapq.heappop(timeless)  # containers such as avi time packets only, in decoding order
                yield self._as_large_as_the_first(frame)

    def _seek(self, container: InputContainer, stream: VideoStream, place: Fraction) -> bool:
        """Whether reading goes on at a keyframe near `place`, and not at the beginning."""
        kind = container.format.name.split(",")[0]
        if kind not in INDEXED or (kind == "avi" and stream.codec_context.has_b_frames):
            return False  # avi times packets only, in decoding order: which is whose is told from the beginning on
        try:
            container.seek(int(place / self.info.time_base), stream=stream)
        except UNREADABLE as fault:
            log.info("%s: no seeking (%s), reading from the beginning", self.info.path.name, fault)
            return False
        return True

    def _packets(self, container: InputContainer, stream: VideoStream) -> Iterator[Packet]:
        """Packets of `stream`; reading goes on behind an unreadable stretch and ends with the flush packet."""
        faults = 0
        while faults < FAULTS_IN_A_ROW:
            try:
                for packet in packets_of(container, [stream]):
                    faults = 0
                    yield packet
                return
            except UNREADABLE as fault:
                log.info("%s: unreadable stretch: %s", self.info.path.name, fault)
                self.damaged += 1
                faults += 1
        flush = Packet()
        flush.stream = stream
        yield flush

    def _as_large_as_the_first(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Some encoders change the picture size on the way; the output has one size."""
        if frame.is_corrupt:
            self.damaged += 1
        if (frame.width, frame.height, frame.format.name) == (
            self.info.width,
            self.info.height,
            self.info.pixel_format,
        ):
            return frame
        refuse_absurd_size(self.info.path, frame.width, frame.height)
        return frame.reformat(self.info.width, self.info.height, self.info.pixel_format, interpolation="BICUBIC")

    def _timed(self, pictures: Iterator[av.VideoFrame]) -> Iterator[SourceFrame]:
        """Give each picture its time, behind that of its predecessor."""
        base, restarts = self.info.time_base, self.info.restarts
        restarts.clear()
        clock = Clock(base, self.info.start_time, 1 / self.info.frame_rate, restarts)
        for picture in pictures:
            tick = clock.tick(picture.pts)
            picture.pts, picture.time_base = tick, base
            yield SourceFrame(0, tick * base, picture.duration * base, picture, self.info.signal)

    def _nothing(self) -> str:
        if self.start is None and self.length is None:
            return f"{self.info.path}: no frame of its video ({self.info.codec}) could be decoded."
        length = f"{float(self.info.duration):.2f} s" if self.info.duration is not None else "unknown"
        asked = f"--start {float(self.start or 0):g}"
        if self.length is not None:
            asked += f" --duration {float(self.length):g}"
        return f"{self.info.path}: no frame lies in {asked}; the clip's length is {length}."
