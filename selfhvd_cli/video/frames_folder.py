"""A folder of numbered pictures as a clip: PNG, JPEG and TIFF, 8 and 16 bits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av

from selfhvd_cli.errors import InputFault
from selfhvd_cli.video.frame import SourceFrame
from selfhvd_cli.video.info import ColorTags, HdrMetadata, VideoInfo
from selfhvd_cli.video.opening import PIXEL_LIMIT, keep_libav_quiet, refuse_absurd_size
from selfhvd_cli.video.pixel_formats import planar_format
from selfhvd_cli.video.pixels import Signal

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")

FRAME_RATE = Fraction(30)
"""Assumed for pictures, which have none."""

JPEG = (".jpg", ".jpeg")


def natural_key(path: Path) -> tuple[tuple[int, int | str], ...]:
    """Sort key that puts frame 10 after frame 9."""
    parts = re.split(r"(\d+)", path.name.lower())
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in parts if part)


def frame_paths(folder: Path) -> list[Path]:
    """The pictures of a folder in natural order."""
    found = [each for each in folder.iterdir() if each.suffix.lower() in SUFFIXES and not each.name.startswith(".")]
    return sorted((each for each in found if each.is_file()), key=natural_key)


def is_frames_folder(path: Path) -> bool:
    """Whether `path` is a folder that holds at least one picture."""
    return path.is_dir() and bool(frame_paths(path))


def is_frames_target(path: Path) -> bool:
    """Whether an output of this name is a folder of frames: one without a file suffix, or a folder already."""
    return path.is_dir() or path.suffix == ""


class FolderReader:
    """Reads the pictures of a folder in natural order, 30 a second unless told otherwise."""

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
        first = read_picture(self.paths[0])
        self.info = _describe(folder, first, frame_rate, len(self.paths))

    def __enter__(self) -> FolderReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def __iter__(self) -> Iterator[SourceFrame]:
        """Yield the pictures as frames.

        Raises:
            InputFault: a picture cannot be read, or its size or format differs from the first one's.
        """
        step = 1 / self.info.frame_rate
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
            picture.pts, picture.time_base = number, step
            frame = SourceFrame(count, time, step, picture, _signal(picture))
            frame.name = path.name
            count += 1
            yield frame
        if count == 0:
            raise InputFault(f"{self.info.path}: none of its {len(self.paths)} frames lies in the asked stretch.")


def read_picture(path: Path) -> av.VideoFrame:
    """Decode one picture file in its own pixel format.

    Raises:
        InputFault: it cannot be decoded.
    """
    keep_libav_quiet()
    try:
        with av.open(str(path), "r", options=dict(PIXEL_LIMIT)) as container:
            stream = container.streams.video[0]
            stream.codec_context.options = dict(PIXEL_LIMIT)
            refuse_absurd_size(path, stream.codec_context.width, stream.codec_context.height)
            return next(container.decode(stream))
    except (av.FFmpegError, ValueError, OSError, IndexError, StopIteration) as fault:
        raise InputFault(f"{path}: cannot be read as a picture; remove it or copy it again.") from fault


def _signal(picture: av.VideoFrame) -> Signal:
    return Signal(int(picture.colorspace), full_range=True, left_sited=False)


def _describe(folder: Path, picture: av.VideoFrame, rate: Fraction, count: int) -> VideoInfo:
    refuse_absurd_size(folder, picture.width, picture.height)
    name = planar_format(picture.format.name)
    return VideoInfo(
        path=folder,
        container="frames",
        stream_index=0,
        width=picture.width,
        height=picture.height,
        frame_rate=rate,
        time_base=1 / rate,
        start_time=Fraction(0),
        duration=count / rate,
        frame_count=count,
        codec="frames",
        profile=None,
        codec_tag=None,
        pixel_format=picture.format.name,
        bit_depth=max(part.bits for part in picture.format.components),
        color=ColorTags(matrix=int(picture.colorspace), range=2 if name.startswith("yuv") else 0),
        display_matrix=None,
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
    )
