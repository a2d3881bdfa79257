"""Writes pictures that were put together for looking at as a video, with the sound of a source beside them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from selfhvd_cli.errors import UsageFault
from selfhvd_cli.video.info import VideoInfo
from selfhvd_cli.video.opening import location
from selfhvd_cli.video.output_file import OutputFile
from selfhvd_cli.video.passthrough import PacketCopier, add_copy, muxable, refusals

MUXERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}


class ComparisonWriter:
    """Encodes RGB pictures as H.264 that every player and browser shows; a context manager.

    Leaving it normally puts the file in place; leaving it by an error leaves nothing behind.
    """

    def __init__(
        self,
        target: Path,
        like: VideoInfo,
        *,
        crf: int = 16,
        sound: bool = True,
        start: Fraction | None = None,
        duration: Fraction | None = None,
        overwrite: bool = False,
    ) -> None:
        """
        Args:
            like: the source that gives clock and sound.
            start, duration: the stretch of it the pictures come from, in seconds.

        Raises:
            UsageFault: the target exists, is the source, or has an unknown ending.
            DiskFault: its folder does not exist or cannot be written.
        """
        muxer = MUXERS.get(target.suffix.lower())
        if muxer is None:
            raise UsageFault(f"{target}: a comparison is written as {', '.join(MUXERS)}, .html or .png.")
        self.file = OutputFile(target, like.path, overwrite)
        self.like, self.muxer, self.crf = like, muxer, crf
        self.start, self.duration = start or Fraction(0), duration
        self.sound_note = ""
        """Why there is no sound, or not all of it; empty where there is."""

        self._wants_sound = sound and like.container != "frames"
        self._output: av.container.OutputContainer | None = None
        self._sound: PacketCopier | None = None
        self._first: Fraction | None = None
        self._last_pts = -1

    def __enter__(self) -> ComparisonWriter:
        options = {"movflags": "faststart"} if self.muxer in ("mp4", "mov") else {}
        with self.file.disk_faults():
            self.file.claim()
            try:
                self._output = av.open(location(self.file.part), "w", format=self.muxer, options=options)
            except BaseException:
                self.file.discard()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._first is not None:
                with self.file.disk_faults():
                    self._finish()
                    self.file.commit()
        finally:
            for opened in (self._sound, self._output):
                with contextlib.suppress(av.FFmpegError, OSError, ValueError):  # as of a full disk, said already
                    if opened is not None:
                        opened.close()
            self._sound = self._output = None
            self.file.discard()

    def write(self, picture: NDArray, time: Fraction) -> None:
        """Add a picture `[H, W, 3]` (8-bit RGB; a last odd row or column is dropped) shown from `time` on."""
        assert self._output is not None, "a writer is used inside a with statement"
        height, width = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2
        with self.file.disk_faults():
            if self._first is None:
                self._first = time
                self._open(height, width)
            frame = av.VideoFrame.from_ndarray(picture[:height, :width].copy(), "rgb24")
            # BT.709 and said so, for untagged files are guessed differently by every player.
            frame = frame.reformat(format="yuv420p", dst_colorspace=1, dst_color_range=1)
            base = self.like.time_base
            self._last_pts = max(round((time - self._first) / base), self._last_pts + 1)
            frame.pts, frame.time_base = self._last_pts, base
            self._mux(self._video.encode(frame), time - self._first)

    def _open(self, height: int, width: int) -> None:
        assert self._output is not None
        options = {"crf": str(self.crf), "preset": "fast"}
        stream = self._output.add_stream("libx264", rate=self.like.frame_rate, options=options)
        assert isinstance(stream, VideoStream)
        self._video = stream
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.time_base = stream.time_base = self.like.time_base
        context.color_primaries = context.color_trc = context.colorspace = 1
        context.color_range = 1
        if self._wants_sound:
            self._add_sound()

    def _add_sound(self) -> None:
        sounds = {stream.index for stream in self.like.streams if stream.kind == "audio"}
        if not sounds:
            self.sound_note = f"{self.like.path.name} has no sound"
            return
        verdicts = [verdict for verdict in muxable(self.like, self.muxer) if verdict.stream.index in sounds]
        kept = [verdict.stream.index for verdict in verdicts if not verdict.reason]
        if not kept:
            self.sound_note = f"{self.muxer} cannot hold the sound of {self.like.path.name}; .mkv can"
            return
        assert self._output is not None
        assert self._first is not None
        self._sound = PacketCopier(self.like, kept[:1])
        self._sound.bind({index: add_copy(self._output, self._sound.stream(index)) for index in kept[:1]})
        if self.start or self.duration is not None:
            self._sound.trim(self._first, None if self.duration is None else self._first + self.duration)
        else:
            self._sound.delay(-self._first)

    def _mux(self, pictures: Sequence[Packet], until: Fraction | None) -> None:
        """Write pictures and, to keep the file interleaved, the sound up to a time of the output; None is its end."""
        assert self._output is not None
        with refusals(self._sound):
            self._output.mux(pictures)
        if self._sound is not None:
            self._sound.copy_until(self._output, until)

    def _finish(self) -> None:
        assert self._output is not None
        self._mux(self._video.encode(), None)
        with refusals(self._sound):
            self._output.close()
        self._output = None
