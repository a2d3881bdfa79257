"""Settings: everything of a job that changes its result, for telling whether two runs make the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from selfhvd_cli import __version__

if TYPE_CHECKING:
    from selfhvd_cli.deblurring.job import DeblurJob

SEGMENT = 120
"""Frames of a segment: at most so many are lost when a run is cut off. Four seconds of most clips, two minutes of
work on a slow machine. Each costs a keyframe: with x264 two shaking clips became 0 and 1 % smaller, and one that
hardly moves 13 % larger."""


def settings_of(job: DeblurJob, weights_sha256: str) -> dict[str, Any]:
    """A job's settings, as JSON holds them; the device and the memory are none: they do not make another result."""
    encoding = job.encoding
    return {
        "version": __version__,
        "input": job.source.absolute().name,
        "model": job.model,
        "weights": weights_sha256,
        "strength": job.strength,
        "precision": job.precision,
        "window": job.window,
        "tile": job.tile,
        "start": None if job.start is None else str(job.start),
        "duration": None if job.duration is None else str(job.duration),
        "codec": encoding.codec,
        "crf": encoding.crf,
        "preset": encoding.preset,
        "hardware": encoding.hardware,
        "seed": job.seed,
        "salvage": job.salvage,
        "segment": SEGMENT,
    }


def is_long(frames: int | None) -> bool:
    """Whether a clip has more than one segment, as far as known: only then is anything kept."""
    return frames is None or frames > SEGMENT


def number_of(settings: Mapping[str, Any]) -> str:
    """Eight digits that stand for settings in a folder's name."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """What differs, in words: `strength 0.5 instead of 1.0`."""
    found = []
    for name in new:
        before, now = old.get(name), new[name]
        if before == now:
            continue
        if name == "weights":
            found.append("other weights")
        else:
            found.append(f"{name} {_said(before)} instead of {_said(now)}")
    return ", ".join(found) or "nothing"


def _said(value: Any) -> str:
    return "unset" if value is None else str(value)
