"""Writes a folder of numbered pictures, PNG, JPEG or TIFF, 8 or 16 bits; it appears whole or not at all."""

from __future__ import annotations

import io
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from torch import Tensor

from selfhvd_cli.counting import counted
from selfhvd_cli.durable import exchange, sync
from selfhvd_cli.errors import InputFault, SelfHVDError, UsageFault
from selfhvd_cli.video.change import is_gray
from selfhvd_cli.video.codes import Codes
from selfhvd_cli.video.frame import SourceFrame
from selfhvd_cli.video.info import VideoInfo
from selfhvd_cli.video.output_file import OutputFile
from selfhvd_cli.video.pictures.frame_paths import SUFFIXES
from selfhvd_cli.video.pictures.metadata import names_beside, read_metadata, with_metadata
from selfhvd_cli.video.pictures.parts import parts
from selfhvd_cli.video.pictures.picture_file import picture_file
from selfhvd_cli.video.pictures.plain_picture import plain_picture
from selfhvd_cli.video.pixel_formats import PixelLayout
from selfhvd_cli.video.receipt import Receipt
from selfhvd_cli.video.segments import Keeper, Piece


class FolderWriter:
    """Writes frames as numbered pictures; the folder appears whole or not at all.

    Frames that come from a folder keep their file names and format, and what their files hold beside the pixels; one
    that is not changed is its file, byte by byte. Others become `frame_000001.png`, in 16 bits where the source has
    more than 8.
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
        self._kept_beside: Counter[str] = Counter()
        self._lost_beside: Counter[str] = Counter()

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
            restored: `[3, H, W]` RGB in [0, 1]; None writes the frame as it is.

        Raises:
            InputFault: the frame's file has gone since it was read.
        """
        if isinstance(restored, Codes):
            raise ValueError("a folder of pictures takes RGB, not codes")
        number = self.count
        self.count += 1
        name = frame.name or f"frame_{self.count:06d}.png"
        source = self._source(frame)
        keeper = self._keeper
        kept = keeper is not None and number < keeper.kept
        if keeper is not None and kept:
            if number % keeper.length == 0:
                self._kept = keeper.pieces(number // keeper.length)
            data = next(self._kept).data
        else:
            data = _encoded(frame, restored, Path(name).suffix.lower(), source)
        if source is not None:
            self._compare(source, data)
        with self.file.disk_faults():
            (self.file.part / name).write_bytes(data)
        frame.forget()
        if keeper is not None and not kept:
            keeper.add(Piece(data, number))
            if self.count % keeper.length == 0:
                keeper.close_segment()

    def _source(self, frame: SourceFrame) -> bytes | None:
        """The file of a frame that comes from a folder.

        Raises:
            InputFault: it has gone since it was read.
        """
        if frame.name is None or self.like.container != "frames":
            return None
        path = self.like.path / frame.name
        try:
            return path.read_bytes()
        except OSError as fault:
            raise InputFault(f"{path}: cannot be read any more ({fault.strerror}); run again when it can.") from fault

    def _compare(self, source: bytes, data: bytes) -> None:
        """Count what the written file holds of what its source holds beside its pixels."""
        had, has = (names_beside(file, list(parts(file))) for file in (io.BytesIO(source), io.BytesIO(data)))
        self._kept_beside.update(had & has)
        self._lost_beside.update(had - has)

    def _finish(self) -> None:
        if self.count == 0:
            raise SelfHVDError(f"{self.file.target}: no frame was written.")
        self.receipt.keep(counted(self.count, "frame"))
        for name, count in sorted(self._kept_beside.items()):
            self.receipt.keep(f"{name} of {counted(count, 'frame')}")
        for name, count in sorted(self._lost_beside.items()):
            self.receipt.leave_out(f"{name} of {counted(count, 'frame')}", "cannot be put into a changed picture")
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


def _encoded(frame: SourceFrame, restored: Tensor | None, suffix: str, source: bytes | None) -> bytes:
    """The picture file of a frame.

    Args:
        source: the file that the frame comes from.
    """
    if source is not None and restored is None:
        return source
    picture = frame.picture
    if restored is not None or not (picture.format.is_rgb or is_gray(picture)):
        picture = plain_picture(frame, restored)
    data = picture_file(picture, suffix)
    return data if source is None else with_metadata(data, read_metadata(io.BytesIO(source)))


def _aside(target: Path) -> Path:
    return target.with_name(target.name + ".selfhvd-old")
