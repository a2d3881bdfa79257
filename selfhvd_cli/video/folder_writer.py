"""Writes a folder of numbered pictures, PNG, JPEG or TIFF, 8 or 16 bits; it appears whole or not at all."""

from __future__ import annotations

import os
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

from selfhvd_cli.clip import frames_in_words
from selfhvd_cli.durable import exchange, sync
from selfhvd_cli.errors import SelfHVDError, UsageFault
from selfhvd_cli.video.codes import Codes
from selfhvd_cli.video.frame import SourceFrame
from selfhvd_cli.video.frames_folder import JPEG, SUFFIXES
from selfhvd_cli.video.info import VideoInfo
from selfhvd_cli.video.output_file import OutputFile
from selfhvd_cli.video.pixel_formats import PixelLayout
from selfhvd_cli.video.pixels import planes_of
from selfhvd_cli.video.receipt import Receipt
from selfhvd_cli.video.segments import Keeper, Piece


class FolderWriter:
    """Writes frames as numbered pictures; the folder appears whole or not at all.

    Frames that come from a folder keep their file names and format. Others become `frame_000001.png`, in 16 bits
    where the source has more than 8.
    """

    def __init__(self, target: Path, like: VideoInfo, overwrite: bool = False) -> None:
        if _aside(target).is_dir() and not target.exists():
            os.replace(_aside(target), target)  # a run was killed in the middle of replacing it
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
            if not self.file.part.is_dir():
                self.file.discard()
            self.file.claim(folder=True)
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

    @property
    def layout(self) -> PixelLayout | None:
        """Pictures are written in RGB."""
        return None

    def write(self, frame: SourceFrame, restored: Tensor | Codes | None = None) -> None:
        """Write one picture.

        Args:
            restored: `[3, H, W]` RGB in [0, 1]; None writes the frame as it was decoded.
        """
        if isinstance(restored, Codes):
            raise ValueError("a folder of pictures takes RGB, not codes")
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
            deep = self.like.bit_depth > 8
            picture = _picture(_changed(frame, restored, deep), deep)
        return _encoded(picture, suffix)

    def _finish(self) -> None:
        if self.count == 0:
            raise SelfHVDError(f"{self.file.target}: no frame was written.")
        self.receipt.keep(frames_in_words(self.count))
        if self.like.container != "frames":
            others = [str(each) for each in self.like.streams if each.index != self.like.stream_index]
            for each in others:
                self.receipt.leave_out(each, "a folder of pictures cannot hold it, a video file can")
            self.receipt.leave_out("times, tags and orientation", "a folder of pictures cannot hold them")
        if self._keeper is not None:
            for path in self.file.part.iterdir():
                sync(path)
        if not self.file.target.is_dir():
            self.file.commit()
        elif exchange(self.file.part, self.file.target):
            self.file.discard()  # the old folder, under this name now
        else:
            self._replace_in_two_steps()

    def _replace_in_two_steps(self) -> None:
        """Where folders cannot be swapped in one step the old one goes aside; the next run would bring it back."""
        target, old = self.file.target, _aside(self.file.target)
        os.replace(target, old)
        try:
            self.file.commit()
        except BaseException:
            os.replace(old, target)
            raise
        shutil.rmtree(old, ignore_errors=True)


def _aside(target: Path) -> Path:
    return target.with_name(target.name + ".selfhvd-old")


def _changed(frame: SourceFrame, restored: Tensor | None, deep: bool) -> Tensor:
    """The frame as RGB with what the restoration changed; as it was where that is no number."""
    if restored is None:
        return frame.rgb()
    change = torch.nan_to_num(restored.detach().to("cpu", torch.float32) - frame.rgb(), 0.0, 0.0, 0.0)
    # 8 bits are coarser than any view of the frame.
    return change.add_(frame.exact_rgb() if deep else frame.rgb())


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
        name = (
            ("gray16be" if deep else "gray")
            if gray
            else ("rgba64be" if deep else "rgba")
            if alpha
            else ("rgb48be" if deep else "rgb24")
        )
        options = {"pred": "mixed", "compression_level": "4"}
    elif suffix in JPEG:
        encoder, name = "mjpeg", "yuvj444p"
        options = {"qmin": "1", "qmax": "1"}
    else:
        encoder = "tiff"
        name = (
            ("gray16le" if deep else "gray")
            if gray
            else ("rgba64le" if deep else "rgba")
            if alpha
            else ("rgb48le" if deep else "rgb24")
        )
        options = {"compression_algo": "deflate"}
    context = Codec(encoder, "w").create("video")
    assert isinstance(context, VideoCodecContext)
    whole = (
        picture.reformat(format=name, dst_colorspace=5, dst_color_range=2)
        if encoder == "mjpeg"
        else (picture.reformat(format=name))
    )
    context.width, context.height, context.pix_fmt = whole.width, whole.height, name
    context.time_base = Fraction(1, 30)
    context.options = options
    whole.pts, whole.time_base = 0, Fraction(1, 30)
    packets = context.encode(whole) + context.encode(None)
    return b"".join(bytes(packet) for packet in packets)
