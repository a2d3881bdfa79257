"""A folder of numbered pictures as a clip: PNG, JPEG and TIFF, 8 and 16 bits, in and out."""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import torch
from av.codec.codec import Codec
from av.video.codeccontext import VideoCodecContext
from torch import Tensor

from selfhvd_cli.errors import InputFault, SelfHVDError, UsageFault
from selfhvd_cli.video.frame import SourceFrame
from selfhvd_cli.video.info import PIXEL_LIMIT, ColorTags, HdrMetadata, VideoInfo, refuse_absurd_size
from selfhvd_cli.video.output_file import OutputFile
from selfhvd_cli.video.pixels import Signal, planar_format, planes_of
from selfhvd_cli.video.receipt import Receipt
from selfhvd_cli.video.segments import Keeper, Piece

logging.getLogger("libav").setLevel(logging.CRITICAL)

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")

FRAME_RATE = Fraction(30)
"""Assumed for pictures, which have none."""

JPEG = (".jpg", ".jpeg")


def natural_key(path: Path) -> tuple[tuple[int, int | str], ...]:
    """Sort key that puts frame 10 after frame 9."""
    parts = re.split(r"(\d+)", path.name.lower())
    return tuple((0, int(part)) if part.isdigit() else (1, part) for part in parts if part)


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


class FolderWriter:
    """Writes frames as numbered pictures; the folder appears whole or not at all.

    Frames that come from a folder keep their file names and format. Others become `frame_000001.png`, in 16 bits
    where the source has more than 8.
    """

    def __init__(self, target: Path, like: VideoInfo, overwrite: bool = False) -> None:
        if target.is_dir() and not any(target.iterdir()):
            target.rmdir()
        elif target.is_dir() and overwrite:
            strangers = [each.name for each in target.iterdir() if each.suffix.lower() not in SUFFIXES]
            if strangers:
                raise UsageFault(f"{target}: holds {strangers[0]}, which is no frame; give another folder with -o.")
        self.file = OutputFile(target, like.path, overwrite)
        self.like = like
        self.receipt = Receipt()
        self.count = 0
        self._keeper: Keeper | None = None
        self._kept: Iterator[Piece] = iter(())

    def __enter__(self) -> FolderWriter:
        with self.file.disk_faults():
            self.file.discard()
            self.file.part.mkdir()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.file.discard()
            return
        try:
            with self.file.disk_faults():
                self._finish()
        except BaseException:
            self.file.discard()
            raise

    def keep(self, keeper: Keeper) -> bool:
        """Let `keeper` have the pictures in segments; those it has are not made anew. Before the first frame."""
        self._keeper = keeper
        return True

    def in_words(self) -> str:
        """What must be the same for segments of two runs to make one folder."""
        return f"frames {self.like.width}x{self.like.height} {self.like.bit_depth}"

    def write(self, frame: SourceFrame, restored: Tensor | None = None) -> None:
        """Write one picture.

        Args:
            restored: `[3, H, W]` RGB in [0, 1]; None writes the frame as it was decoded.
        """
        number = self.count
        self.count += 1
        name = frame.name or f"frame_{self.count:06d}.png"
        keeper = self._keeper
        kept = keeper is not None and number < keeper.kept
        if keeper is not None and kept:
            if number % keeper.length == 0:
                self._kept = keeper.pieces(number // keeper.length)
            data = next(self._kept).data
        else:
            data = self._encode(frame, restored, Path(name).suffix.lower())
        with self.file.disk_faults():
            (self.file.part / name).write_bytes(data)
        frame.forget()
        if keeper is not None and not kept:
            keeper.add(Piece(data, number))
            if self.count % keeper.length == 0:
                keeper.close_segment()

    def _encode(self, frame: SourceFrame, restored: Tensor | None, suffix: str) -> bytes:
        picture = frame.picture
        unchanged = restored is None and (picture.format.is_rgb or picture.format.name.startswith("gray"))
        if not unchanged:
            picture = _picture(_finite(frame, restored), deep=self.like.bit_depth > 8)
        return _encoded(picture, suffix)

    def _finish(self) -> None:
        if self.count == 0:
            raise SelfHVDError(f"{self.file.target}: no frame was written.")
        self.receipt.keep(f"{self.count} frames")
        if self.like.container != "frames":
            others = [str(each) for each in self.like.streams if each.index != self.like.stream_index]
            for each in others:
                self.receipt.leave_out(each, "a folder of pictures cannot hold it, a video file can")
            self.receipt.leave_out("times, tags and orientation", "a folder of pictures cannot hold them")
        target = self.file.target
        if target.is_dir():
            old = target.with_name(target.name + ".old")
            os.replace(target, old)
            os.replace(self.file.part, target)
            shutil.rmtree(old)
        else:
            self.file.commit()


def read_picture(path: Path) -> av.VideoFrame:
    """Decode one picture file in its own pixel format.

    Raises:
        InputFault: it cannot be decoded.
    """
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


def _finite(frame: SourceFrame, restored: Tensor | None) -> Tensor:
    """The restoration, and the frame as it was where there is none."""
    if restored is None:
        return frame.rgb()
    restored = restored.detach().to("cpu", torch.float32)
    return torch.where(torch.isfinite(restored), restored, frame.rgb())


def _picture(rgb: Tensor, deep: bool) -> av.VideoFrame:
    """RGB float as a picture of 8 or 16 bits."""
    picture = av.VideoFrame(rgb.shape[2], rgb.shape[1], "gbrp16le" if deep else "gbrp")
    top = 65535 if deep else 255
    for plane, source in zip(planes_of(picture), (1, 2, 0), strict=True):
        plane.copy_(rgb[source].clamp(0, 1).mul(top).round_())
    return picture


def _encoded(picture: av.VideoFrame, suffix: str) -> bytes:
    """A picture as the bytes of a file of the given kind."""
    deep = max(part.bits for part in picture.format.components) > 8
    gray = len(picture.format.components) <= 2 and not picture.format.has_palette
    alpha = any(part.is_alpha for part in picture.format.components)
    options = {}
    if suffix == ".png":
        encoder = "png"
        name = ("gray16be" if deep else "gray") if gray else ("rgba64be" if deep else "rgba") if alpha else (
            "rgb48be" if deep else "rgb24"
        )
        options = {"pred": "mixed", "compression_level": "4"}
    elif suffix in JPEG:
        encoder, name = "mjpeg", "yuvj444p"
        options = {"qmin": "1", "qmax": "1"}
    else:
        encoder = "tiff"
        name = ("gray16le" if deep else "gray") if gray else ("rgba64le" if deep else "rgba") if alpha else (
            "rgb48le" if deep else "rgb24"
        )
        options = {"compression_algo": "deflate"}
    context = Codec(encoder, "w").create("video")
    assert isinstance(context, VideoCodecContext)
    whole = picture.reformat(format=name, dst_colorspace=5, dst_color_range=2) if encoder == "mjpeg" else (
        picture.reformat(format=name)
    )
    context.width, context.height, context.pix_fmt = whole.width, whole.height, name
    context.time_base = Fraction(1, 30)
    context.options = options
    whole.pts, whole.time_base = 0, Fraction(1, 30)
    packets = context.encode(whole) + context.encode(None)
    return b"".join(bytes(packet) for packet in packets)
