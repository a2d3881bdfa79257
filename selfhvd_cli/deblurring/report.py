"""What a run of deblurring tells: its plan beforehand, its progress, its report at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from selfhvd_cli.deblurring.kept import Kept
from selfhvd_cli.restore.guard import Verdict


@dataclass(frozen=True)
class Spread:
    """Smallest, mean and largest of a value over the frames."""

    min: float
    mean: float
    max: float


@dataclass(frozen=True)
class DeblurReport:
    """What was done with one clip."""

    source: Path
    target: Path

    frames: int
    """Frames in, which is frames out."""

    frames_changed: int
    """Frames that differ from their input before encoding."""

    strength: float
    """Mean share of the network's change that was applied to a frame."""

    held_back: float
    """Mean share of pixels where the guard kept the input."""

    sharpness_before: Spread | None
    """Variance of the Laplacian of the frames; None where no network ran."""

    sharpness_after: Spread | None
    """The same of the restored frames, before encoding."""

    reasons: Mapping[str, int]
    """Why frames were held back, in words, and how many; the most frequent first."""

    model: str | None
    """The network; None where none ran."""

    weights: str | None
    """Its weights, by name or file."""

    weights_sha256: str | None
    """Hash of the weights' file."""

    device: str | None
    """Where it ran, in which precision, and why there."""

    plan: str | None
    """Windows and tiles it began with."""

    events: tuple[str, ...]
    """What went another way than planned: smaller tiles, another precision."""

    seconds: float
    """Wall time of the whole run, since it was last begun."""

    frames_per_second: float
    """Frames by wall time, without those of an interrupted run."""

    stage_seconds: Mapping[str, float]
    """Time each stage was at work; the stages overlap, and the largest limits the run."""

    bytes_before: int
    """Size of the source."""

    bytes_after: int
    """Size of the target."""

    receipt: Mapping[str, list[dict[str, str]]]
    """What of the source is in the target: kept, changed, left_out and notes, each a list of what and reason."""

    frames_resumed: int = 0
    """Frames that an interrupted run had restored and kept."""


@dataclass(frozen=True)
class Progress:
    """Where a run is."""

    phase: str
    """fetch (weights), prepare, resume, deblur, finish or done."""

    done: int = 0
    """Frames encoded; bytes while fetching."""

    total: int | None = None
    """Of those, in all; None where that is not known."""

    unit: str = "frames"
    """What is counted."""

    rate: float | None = None
    """Units a second, measured."""

    seconds_left: float | None = None
    """None while nothing was measured or the number of frames is not known."""

    messages: tuple[str, ...] = ()
    """What a person should read now: the device, a retry in less memory."""

    kept: Kept | None = None
    """What another run would go on from if this one were cut off now."""

    report: DeblurReport | None = None
    """With `done`."""


@dataclass(frozen=True)
class DeblurPlan:
    """What a run would do and need (`--dry-run`)."""

    source: Path
    target: Path
    size: tuple[int, int]
    """Width and height in stored pixels."""

    frames: int | None
    """As far as the container says."""

    model: str | None
    weights: str | None
    device: str | None
    plan: str | None
    """Windows and tiles."""

    memory: int
    """Bytes the network and the waiting frames need, estimated."""

    seconds: float | None
    """Time the network will take, from a short run of it; None where the number of frames is not known."""

    notes: tuple[str, ...] = ()
    """What else to know, such as weights that would be fetched."""


@dataclass
class Tally:
    """Grows by one frame at a time; what it keeps does not grow with the clip."""

    frames: int = 0
    changed: int = 0
    before: Spread | None = None
    after: Spread | None = None
    reasons: Counter[str] = field(default_factory=Counter)
    events: list[str] = field(default_factory=list)
    _judged: int = 0
    _measured: int = 0
    _strength: float = 0.0
    _held_back: float = 0.0

    def add(self, verdict: Verdict | None, events: tuple[str, ...]) -> None:
        """Count one frame; no verdict means that it passed as decoded."""
        self.frames += 1
        self.events += events
        if verdict is None:
            return
        self._judged += 1
        self.changed += verdict.strength > 0
        self._strength += verdict.strength
        self._held_back += verdict.held_back
        if verdict.reason:
            self.reasons[verdict.reason] += 1
        if verdict.sharpness_before is not None and verdict.sharpness_after is not None:
            self._measured += 1
            self.before = _widened(self.before, verdict.sharpness_before, self._measured)
            self.after = _widened(self.after, verdict.sharpness_after, self._measured)

    @property
    def strength(self) -> float:
        """Mean over all frames."""
        return self._strength / max(1, self.frames)

    @property
    def held_back(self) -> float:
        """Mean over the frames that a network saw."""
        return self._held_back / max(1, self._judged)


def _widened(spread: Spread | None, value: float, count: int) -> Spread:
    """The spread of `count` values, the last of them new."""
    if spread is None:
        return Spread(value, value, value)
    return Spread(min(spread.min, value), spread.mean + (value - spread.mean) / count, max(spread.max, value))
