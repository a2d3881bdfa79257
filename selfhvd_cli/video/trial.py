"""Trial: whether a video could be written, found out without touching the place it shall have."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av

from selfhvd_cli.errors import SelfHVDError
from selfhvd_cli.video.container import plan_layout
from selfhvd_cli.video.encoders import Encoding
from selfhvd_cli.video.info import VideoInfo
from selfhvd_cli.video.muxing import Job, open_output
from selfhvd_cli.video.opening import raise_if_out_of_memory


def try_encoder(
    target: Path, like: VideoInfo, encoding: Encoding, start: Fraction | None, duration: Fraction | None
) -> None:
    """Open the container and the encoder that a writer of `target` would, in a folder of the system's.

    Args:
        target: a video file; neither it nor its folder need exist.
        like, start, duration: as for `open_writer`.

    Raises:
        UsageFault: the suffix names no container, or it cannot hold what is asked for.
        EnvironmentFault: no encoder works.
    """
    layout = plan_layout(target, like, encoding, trimmed=bool(start) or duration is not None)
    with tempfile.TemporaryDirectory(prefix="selfhvd-") as folder:
        trial = Job(Path(folder) / "trial", like, layout, encoding, start or Fraction(0), duration)
        try:
            opened = open_output(trial)
        except av.FFmpegError as fault:
            raise_if_out_of_memory(fault)
            raise SelfHVDError(f"{target}: encoding failed ({fault.strerror}).") from fault
        with suppress(av.FFmpegError, OSError, ValueError):  # no frame was written
            opened.output.close()
