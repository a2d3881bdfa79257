"""A folder of numbered pictures as a clip: PNG, JPEG and TIFF, 8 and 16 bits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
from av.video.format import VideoFormat

from selfhvd_cli.counting import counted
from selfhvd_cli.errors import InputFault
from selfhvd_cli.video.demuxers import ONLY_RECORDINGS
from selfhvd_cli.video.frame import SourceFrame
from selfhvd_cli.video.info import FULL_RANGE, ColorTags, HdrMetadata, VideoInfo
from selfhvd_cli.video.opening import PIXEL_LIMIT, keep_libav_quiet, location, refuse_absurd_size
from selfhvd_cli.video.pictures.frame_paths import frame_paths
from selfhvd_cli.video.pictures.head import PictureHead, read_head
from selfhvd_cli.video.pictures.orientation import display_matrix
from selfhvd_cli.video.pixel_formats import RGB_MATRIX, planar_format, widest_format
from selfhvd_cli.video.pixels import Signal

FRAME_RATE = Fraction(30)
"""Assumed for pictures, which have none."""

JPEG = (".jpg", ".jpeg")

JPEG_MATRIX = 5
"""JFIF's, that of BT.601."""

SAID_OTHERWISE = frozenset(("colour tags", "orientation", "resolution"))
"""What lies beside a picture's pixels, and what a video says in its own way."""


class FolderReader:
    """Reads the pictures of a folder in natural order, 30 a second unless told otherwise.

    Some may be grey or of fewer bits than others, as programs write them that save space; `info` describes a picture
    that holds all.
    """

    def __init__(
        self,
        folder: Path,
        start: Fraction | None = None,
        duration: Fraction | None = None,
        frame_rate: Fraction = FRAME_RATE,
    ) -> None:
        self.paths = frame_paths(folder)
        if not self.paths:
            raise InputFault(f"{folder}: holds no PNG, JPEG or TIFF pictures; name a folder of numbered frames.")
        kinds = {"jpg" if path.suffix.lower() in JPEG else path.suffix.lower()[1:4] for path in self.paths}
        if len(kinds) > 1:
            raise InputFault(f"{folder}: holds several kinds of pictures ({', '.join(sorted(kinds))}); keep one.")
        self.damaged = 0
        self.start, self.length = start or Fraction(0), duration
        heads = [read_head(path) for path in self.paths]
        self._coding: str | None = None
        for path, head in zip(self.paths, heads, strict=True):
            if head.comes_out_black:
                raise InputFault(f"{path}: is a TIFF compressed as JPEG, which cannot be read; save it uncompressed.")
            self._refuse_other_coding(path, head.pixel_format)
        first = read_picture(self.paths[0])
        self.info = _describe(folder, first, frame_rate, heads)

    def __enter__(self) -> FolderReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def __iter__(self) -> Iterator[SourceFrame]:
        """Yield the pictures as frames.

        Raises:
            InputFault: a picture cannot be read, its size differs from the first one's, or it is coded in RGB and
                others in YUV, of which the output can have but one.
        """
        step = 1 / self.info.frame_rate
        signal = Signal(self.info.color.matrix, full_range=True, left_sited=False)
        count = 0
        for number, path in enumerate(self.paths):
            time = number * step
            if time < self.start or (self.length is not None and time >= self.start + self.length):
                continue
            picture = read_picture(path)
            if (picture.width, picture.height) != (self.info.width, self.info.height):
                raise InputFault(
                    f"{path}: is {picture.width}×{picture.height}, the first frame is "
                    f"{self.info.width}×{self.info.height}; all frames of a clip need one size."
                )
            self._refuse_other_coding(path, picture.format.name)
            picture.pts, picture.time_base = number, step
            frame = SourceFrame(count, time, step, picture, signal)
            frame.name = path.name
            count += 1
            yield frame
        if count == 0:
            raise InputFault(
                f"{self.info.path}: none of its {counted(len(self.paths), 'frame')} lies in the asked stretch."
            )

    def _refuse_other_coding(self, path: Path, pixel_format: str | None) -> None:
        coding = _coding(pixel_format) if pixel_format is not None else None
        if self._coding is not None and coding not in (None, self._coding):
            raise InputFault(f"{path}: is coded in {coding}, others in {self._coding}; save all pictures in one way.")
        self._coding = self._coding or coding


def read_picture(path: Path) -> av.VideoFrame:
    """Decode one picture file in its own pixel format.

    Raises:
        InputFault: it cannot be decoded.
    """
    keep_libav_quiet()
    try:
        with av.open(
            location(path), "r", container_options=dict(ONLY_RECORDINGS), options=dict(PIXEL_LIMIT)
        ) as container:
            stream = container.streams.video[0]
            stream.codec_context.options = dict(PIXEL_LIMIT)
            refuse_absurd_size(path, stream.codec_context.width, stream.codec_context.height)
            return next(container.decode(stream))
    except (av.FFmpegError, ValueError, OSError, IndexError, StopIteration) as fault:
        raise InputFault(f"{path}: cannot be read as a picture; remove it or copy it again.") from fault


def _coding(pixel_format: str) -> str | None:
    """How colour is coded; None for grey, which is the same in both."""
    pixel = VideoFormat(pixel_format)
    if len(pixel.components) <= 2 and not pixel.has_palette:
        return None
    return "YUV" if planar_format(pixel_format).startswith("yuv") else "RGB"


def _describe(folder: Path, first: av.VideoFrame, rate: Fraction, heads: Sequence[PictureHead]) -> VideoInfo:
    refuse_absurd_size(folder, first.width, first.height)
    name = widest_format([head.pixel_format for head in heads if head.pixel_format] or [first.format.name])
    matrix = RGB_MATRIX
    if planar_format(name).startswith("yuv"):
        matrix = int(first.colorspace) if first.format.name.startswith("yuv") else JPEG_MATRIX
    count = len(heads)
    return VideoInfo(
        path=folder,
        container="frames",
        stream_index=0,
        width=first.width,
        height=first.height,
        frame_rate=rate,
        time_base=1 / rate,
        start_time=Fraction(0),
        duration=count / rate,
        frame_count=count,
        codec="frames",
        profile=None,
        codec_tag=None,
        pixel_format=name,
        bit_depth=max(part.bits for part in VideoFormat(name).components),
        color=ColorTags(matrix=matrix, range=0 if matrix == RGB_MATRIX else FULL_RANGE),
        display_matrix=display_matrix(heads[0].orientation),
        sample_aspect_ratio=None,
        interlaced=False,
        field_order=0,
        hdr=None,
        hdr_metadata=HdrMetadata(),
        dolby_vision=False,
        bit_rate=None,
        metadata={},
        streams=(),
        chapters=(),
        extras=_beside(heads),
    )


def _beside(heads: Sequence[PictureHead]) -> tuple[str, ...]:
    """What a video has no place for, in words."""
    names = set[str]().union(*(head.beside for head in heads)) - SAID_OTHERWISE
    turned = sum(head.orientation != heads[0].orientation for head in heads)
    others = (f"another orientation of {counted(turned, 'frame')}",) if turned else ()
    return (*sorted(names), *others)
