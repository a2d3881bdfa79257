"""Writing: a video file or a folder of frames, behind one interface."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Protocol

from torch import Tensor

from selfhvd_cli.video.codes import Codes
from selfhvd_cli.video.encoders import Encoding
from selfhvd_cli.video.frame import SourceFrame
from selfhvd_cli.video.info import VideoInfo
from selfhvd_cli.video.pictures.folder_writer import FolderWriter
from selfhvd_cli.video.pictures.frame_paths import is_frames_target
from selfhvd_cli.video.pixel_formats import PixelLayout
from selfhvd_cli.video.receipt import Receipt
from selfhvd_cli.video.segments import Keeper
from selfhvd_cli.video.writer import VideoWriter


class Writer(Protocol):
    """What both a video file and a folder of frames offer; a context manager."""

    receipt: Receipt

    def __enter__(self) -> Writer: ...

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @property
    def layout(self) -> PixelLayout | None: ...

    def write(self, frame: SourceFrame, restored: Tensor | Codes | None = None) -> None: ...

    def keep(self, keeper: Keeper) -> bool: ...

    def in_words(self) -> str: ...


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
