"""Which of the encoders this project uses really open on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

from av.codec.codec import Codec

from selfhvd_cli.video.encoders import FAMILIES, EncoderPlan, open_test
from selfhvd_cli.video.info import ColorTags
from selfhvd_cli.video.pixel_formats import nearest_format

WIDTH, HEIGHT = 640, 360
"""Hardware encoders refuse much smaller pictures."""

OPTIONS = {"libx265": {"x265-params": "log-level=none"}, "mjpeg": {"strict": "unofficial"}}
"""Options without which an encoder talks or refuses ordinary video levels."""


def survey_encoders() -> Iterator[tuple[str, str | None]]:
    """Every encoder's name, and None if it encodes, else why not; a codec's software encoder comes first."""
    for family, row in FAMILIES.items():
        for name in (row.software, *row.hardware):
            yield name, _try(family, name)


def _try(family: str, name: str) -> str | None:
    try:
        codec = Codec(name, "w")
    except ValueError:
        return "not in this build of FFmpeg"
    pixel_format = nearest_format("yuv420p", [each.name for each in codec.video_formats or []])
    if pixel_format is None:
        return "takes no pictures from main memory"
    plan = EncoderPlan(family, name, pixel_format, ColorTags(), OPTIONS.get(name, {}))
    with _silent_stderr():
        return open_test(plan, WIDTH, HEIGHT, Fraction(1, 600))


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Drivers that are not there complain to the process's stderr, past every logging setting."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
