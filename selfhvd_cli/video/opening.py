"""Opening a media file that may be damaged or hostile: what is absurd is refused before it takes memory or time."""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Mapping
from pathlib import Path

import av
import av.logging
from av.container import InputContainer

from selfhvd_cli.errors import InputFault
from selfhvd_cli.threads import require_room, started_thread
from selfhvd_cli.video.claims import refuse_impossible_claims
from selfhvd_cli.video.completeness import has_index
from selfhvd_cli.video.demuxers import ONLY_RECORDINGS, what_else

logging.getLogger("libav").setLevel(logging.CRITICAL)

MAX_SIDE = 16384
MAX_PIXELS = 100_000_000
"""Largest picture accepted; a damaged header can claim any size, and memory would be taken before decoding fails."""

PIXEL_LIMIT = {"max_pixels": str(MAX_PIXELS)}
"""The same, for decoders: what a picture itself states may be larger than what the container says of it."""

REFUSED_BY_DECODER = f"damaged, or pictures of more than {MAX_PIXELS // 1_000_000} million pixels"

LOCKED = "no permission to read it; copy it to where you may, or have its owner allow it."

PATIENCE = 120.0
"""Seconds to open a file in. Opening reads headers; only made-up ones take FFmpeg longer than moments."""


def open_input(path: Path, options: Mapping[str, str] | None = None) -> InputContainer:
    """Open a media file.

    Raises:
        InputFault: it is missing, empty, or no media file.
        MemoryError: there is no memory to open it with.
    """
    status = require_readable(path)
    if stat.S_ISDIR(status.st_mode):
        raise InputFault(f"{path}: is a folder without numbered PNG, JPEG or TIFF frames; name a video file.")
    try:
        if status.st_size == 0:
            raise InputFault(f"{path}: the file is empty (0 bytes); copy it from the phone again.")
        refuse_impossible_claims(path)
        keep_libav_quiet()
        return _open_in_time(path, dict(options or {}))
    except (av.FFmpegError, OSError, ValueError, RuntimeError) as fault:
        if isinstance(fault, PermissionError):
            raise InputFault(f"{path}: {LOCKED}") from None
        if getattr(fault, "errno", None) == errno.ENOMEM:
            require_room()  # with enough of it left, the header asks for what no machine has
        if isinstance(fault, av.FFmpegError) and (other := what_else(path)) is not None:
            raise InputFault(f"{path}: {other}.") from fault
        if isinstance(fault, av.FFmpegError) and not has_index(path):
            raise InputFault(
                f"{path}: cannot be read as a video (its index is missing, which cameras write at the end: "
                "the recording or the copy was cut off); copy it again, or have the camera repair it."
            ) from fault
        raise InputFault(f"{path}: cannot be read as a video ({reason_of(fault)}).") from fault


def require_readable(path: Path) -> os.stat_result:
    """What the file system says of an input.

    Raises:
        InputFault: there is none of that name, or it must not be looked at.
    """
    try:
        status = path.stat()
    except PermissionError:
        raise InputFault(f"{path}: {LOCKED}") from None
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last where no file can have such a name
        raise InputFault(f"{path}: no such file.") from None
    except OSError as fault:
        raise InputFault(f"{path}: cannot be opened ({reason_of(fault)}); check the name.") from fault
    if stat.S_ISDIR(status.st_mode) and not os.access(path, os.R_OK | os.X_OK):
        raise InputFault(f"{path}: {LOCKED}")
    return status


def location(path: Path) -> str:
    """A path as FFmpeg takes it: whole, for what stands before a colon in a short one would be a protocol to it."""
    return str(path.absolute())


def _open_in_time(path: Path, options: dict[str, str]) -> InputContainer:
    """Open in a thread of its own, which is left to itself if it takes too long: FFmpeg cannot be stopped there."""
    opened: list[InputContainer] = []
    faults: list[BaseException] = []

    def attempt() -> None:
        try:
            opened.append(
                av.open(
                    location(path),
                    "r",
                    container_options={**options, **ONLY_RECORDINGS},
                    options=dict(PIXEL_LIMIT),
                    metadata_errors="replace",
                )
            )
        except BaseException as fault:  # handed to the caller, who raises it
            faults.append(fault)

    thread = started_thread(attempt, "open")
    thread.join(PATIENCE)
    if thread.is_alive():
        raise InputFault(
            f"{path}: its header cannot be read in {PATIENCE:.0f} seconds; the file is damaged or hostile."
        )
    if opened:
        return opened[0]
    raise faults[0] if faults else MemoryError("no memory to open the file")


def keep_libav_quiet() -> None:
    """Switch off what FFmpeg reports to Python, whoever switched it on (some versions of torchvision, when imported).

    A decoder's thread that reports something waits for Python's lock; closing its file holds that lock and waits for
    the thread. Off is how PyAV begins, too.
    """
    if av.logging.get_level() is not None:
        av.logging.set_level(None)


def raise_if_out_of_memory(fault: BaseException) -> None:
    """Raise MemoryError where FFmpeg ran out of memory, which is no damage of the file.

    Raises:
        MemoryError: that was the reason.
    """
    # EAGAIN is a decoder or encoder that got no thread: there was no memory for its stack.
    if getattr(fault, "errno", None) in (errno.ENOMEM, errno.EAGAIN):
        raise MemoryError("FFmpeg got no memory") from fault


def refuse_absurd_size(path: Path, width: int, height: int) -> None:
    """Raise InputFault for a picture larger than any phone's."""
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise InputFault(
            f"{path}: pictures of {width}×{height} pixels are not supported "
            f"(at most {MAX_SIDE} a side and {MAX_PIXELS // 1_000_000} million in all)."
        )


def reason_of(fault: Exception) -> str:
    """Why FFmpeg could not read something, in words."""
    if isinstance(fault, av.ArgumentError):
        return REFUSED_BY_DECODER
    if getattr(fault, "errno", None) == errno.ENOMEM:
        return "its header asks for more memory than there is"
    if isinstance(fault, (av.FFmpegError, OSError)):
        return (fault.strerror or "unreadable").rstrip(".").lower()
    return str(fault).rstrip(".").lower() or type(fault).__name__
