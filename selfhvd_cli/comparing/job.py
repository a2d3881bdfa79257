"""The comparison that is asked for, how far it is, and what was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from selfhvd_cli.errors import UsageFault
from selfhvd_cli.moments import Moment
from selfhvd_cli.quality.names import readable, short_names
from selfhvd_cli.quality.report import ScoreReport
from selfhvd_cli.video.comparison import MUXERS

Layout = Literal["side", "split"]
Kind = Literal["video", "sheet", "page"]

KINDS: Mapping[str, Kind] = {**dict.fromkeys(MUXERS, "video"), ".png": "sheet", ".html": "page", ".htm": "page"}
"""Ending of the target → what is made."""

USED_BY: Mapping[str, Kind] = {"layout": "video", "also": "page", "metrics": "page", "every": "page"}
"""Field of a job, and option → the only kind that it means something for."""


@dataclass(frozen=True)
class CompareJob:
    """What to compare, and as what."""

    first: Path
    second: Path
    """Both a file or a folder of frames; of one size and length."""

    target: Path
    """What it is follows from its ending: .mp4, .mov, .mkv a video, .png a sheet of crops, .html a page."""

    layout: Layout = "side"
    """Of a video: side by side, or one half of each."""

    labels: tuple[str, str] | None = None
    """Names to show; None takes the files'."""

    title: str = ""
    """Of a page; empty takes the names."""

    also: tuple[Path, ...] = ()
    """Further videos that a page scores beside the two it shows."""

    metrics: tuple[str, ...] = ()
    """Of a page's table; empty takes the defaults."""

    every: int | None = None
    """Each so manyth frame is scored for a page; None chooses."""

    start: Moment | None = None
    duration: Moment | None = None
    whole: tuple[Path, ...] = ()
    """Videos that are taken from end to end all the same: what was made of that stretch of the first."""

    overwrite: bool = False
    details: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Further sections of a page, such as settings and the receipt: heading → lines."""

    offline: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.layout not in get_args(Layout):
            raise UsageFault(f"--layout {self.layout}: choose one of {', '.join(get_args(Layout))}.")

    @property
    def kind(self) -> Kind:
        """What is made.

        Raises:
            UsageFault: the target's ending means nothing.
        """
        kind = KINDS.get(self.target.suffix.lower())
        if kind is None:
            raise UsageFault(f"{self.target}: name a video ({', '.join(MUXERS)}), a sheet (.png) or a page (.html).")
        return kind

    @property
    def idle(self) -> Mapping[str, Any]:
        """Fields that ask for something this kind has no use for → what they hold where nothing is asked."""
        kind = self.kind
        blank = {each.name: each.default for each in fields(self)}
        return {
            name: blank[name] for name, only in USED_BY.items() if only != kind and getattr(self, name) != blank[name]
        }

    @property
    def names(self) -> tuple[str, str]:
        """Of the two that are shown."""
        return self.columns[0], self.columns[1]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all videos that are scored."""
        if self.labels is None:
            return tuple(short_names((self.first, self.second, *self.also)))
        labels = tuple(readable(label) for label in self.labels)
        others = zip(short_names(self.also), self.also, strict=True)
        return (*labels, *(readable(path) if name in labels else name for name, path in others))


@dataclass(frozen=True)
class Comparison:
    """What was made."""

    target: Path
    frames: int
    """Compared."""

    shown: Mapping[str, int]
    """Frames shown at full size: worst, median, best → number; of the first video, by sharpness."""

    report: ScoreReport | None
    """The scores of a page."""

    notes: tuple[str, ...]
    """What is missing, and why."""


@dataclass(frozen=True)
class CompareProgress:
    """Where a comparison is."""

    phase: str
    done: int
    total: int | None
    comparison: Comparison | None = None
    """With the last report."""
