"""The job: one clip to deblur, how, and whether that may be started."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from selfhvd_cli.device import Precision
from selfhvd_cli.errors import InputFault, UsageFault
from selfhvd_cli.moments import Moment
from selfhvd_cli.video.completeness import missing_bytes
from selfhvd_cli.video.container import MUXERS
from selfhvd_cli.video.encoders import Encoding
from selfhvd_cli.video.info import VideoInfo
from selfhvd_cli.video.opening import require_readable
from selfhvd_cli.video.output_file import same_file

SUFFIX = "_deblurred"
"""Ends the name of a result; what ends so is never taken for an input by itself."""

TASTE = "_taste"
"""Ends the name of a taste, likewise where its clip is beside it."""


@dataclass(frozen=True)
class DeblurJob:
    """One clip to deblur, and how."""

    source: Path
    """A video file or a folder of numbered frames."""

    target: Path
    """The same, to be written; a folder that does not exist is made."""

    model: str = "lite"
    """A name of `ARCHITECTURES`."""

    weights: str | None = None
    """Manifest name or file; None takes the network's default."""

    strength: float = 1.0
    """Share of the restoration that is taken; at 0 no network is loaded."""

    device: str = "auto"
    """auto, cuda, cuda:N, mps or cpu."""

    devices: tuple[str, ...] = ()
    """Several devices that share the clip, each with a process of its own; empty takes `device` alone."""

    precision: Precision = "auto"
    """Arithmetic of the network."""

    window: int | None = None
    """Frames the network sees at a time; None is chosen by the memory there is."""

    tile: int | None = None
    """Side of the tiles in pixels; None is chosen by the memory there is."""

    max_memory: int | None = None
    """Bytes the network may use; None is what there is."""

    start: Moment | None = None
    """Where to begin, from the first frame."""

    duration: Moment | None = None
    """How much to take."""

    encoding: Encoding = field(default_factory=Encoding)
    """Codec and quality; the default is like the source."""

    overwrite: bool = False
    """Whether an existing target is replaced."""

    offline: bool = False
    """Never touch the network to find weights."""

    seed: int = 0
    """For networks that draw random numbers."""

    salvage: bool = False
    """Take a clip that is cut off, too: the part that is there."""

    resume: bool = True
    """Keep finished segments of a long clip, and go on from those of an interrupted run."""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise UsageFault(f"--seed {self.seed}: cannot be negative.")
        if self.max_memory is not None and self.max_memory < 1:
            raise UsageFault(f"--max-memory {self.max_memory}: choose at least 1 byte, or None for what there is.")

    @property
    def first_device(self) -> str:
        """The device as asked for, of several the first."""
        return self.devices[0] if self.devices else self.device


def default_target(source: Path) -> Path:
    """`clip.mp4` → `clip_deblurred.mp4` beside it, `frames/` → `frames_deblurred`.

    A container that is read but not written becomes `.mkv`, which holds everything.
    """
    named = source if source.name not in ("", ".", "..") else Path(os.path.abspath(source))
    if os.path.isdir(named):
        return named.with_name(named.name + SUFFIX)
    ending = named.suffix if named.suffix.lower() in MUXERS else ".mkv"
    return named.with_name(named.stem + SUFFIX + ending)


def check_paths(source: Path, target: Path, overwrite: bool) -> None:
    """Refuse what must not be started.

    Raises:
        InputFault: the source does not exist, or must not be looked at.
        UsageFault: as `check_target`.
    """
    require_readable(source)
    check_target(source, target, overwrite)


def check_target(source: Path, target: Path, overwrite: bool) -> None:
    """Refuse a target that would cost the user something.

    Raises:
        UsageFault: the target is the source, also through links, or exists and `overwrite` is not set.
    """
    if same_file(source, target):
        raise UsageFault(f"{target}: this is the input itself; name another output with -o.")
    if os.path.isdir(source) and source.resolve() in target.resolve().parents:
        raise UsageFault(f"{target}: lies inside the input folder; name another output with -o.")
    if os.path.lexists(target) and not overwrite and not _is_empty_folder(target):
        raise UsageFault(f"{target}: exists already; replace it with --overwrite, or name another output with -o.")


def check_clip(info: VideoInfo) -> None:
    """Refuse what is no clip.

    Raises:
        UsageFault: it is a single picture.
    """
    if info.is_picture:
        raise UsageFault(
            f"{info.path}: is a single picture; what its blur hides can be seen in the frames around it alone. "
            "Give the video, or the folder of its numbered frames."
        )


def missing_part(source: Path, salvage: bool) -> str | None:
    """What is missing of a clip that was cut off, in words; None where it is whole, or does not say.

    Raises:
        InputFault: something is missing, and `salvage` is not set.
    """
    missing = missing_bytes(source) if source.is_file() else 0
    if not missing:
        return None
    words = f"the last {missing:,} of {source.stat().st_size + missing:,} bytes are missing"
    if not salvage:
        raise InputFault(f"{source}: is cut off, {words}; copy it again, or take what is there with --salvage.")
    return words


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())
