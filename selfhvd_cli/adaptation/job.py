"""What adapting is asked for and what it tells: the job, the progress, the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from selfhvd_cli.device import Precision
from selfhvd_cli.errors import UsageFault
from selfhvd_cli.moments import Moment
from selfhvd_cli.training.compute import refuse_fp16
from selfhvd_cli.training.holdout import Standing
from selfhvd_cli.training.trainer import StepReport

SCRATCH = "scratch"
"""What `init` says for fresh parameters."""

FlowChoice = Literal["auto", "sea-raft", "sea-raft-s", "raft", "flowformer", "lite", "dis"]
PerceptualChoice = Literal["auto", "vgg19", "none"]
End = Literal["steps", "minutes", "patience", "not finite"]


@dataclass(frozen=True)
class AdaptJob:
    """Clips to learn from, and how."""

    clips: tuple[Path, ...]
    """Video files and folders of numbered frames."""

    weights: Path
    """Safetensors file to write; its log, pictures and checkpoint stand beside it."""

    model: str = "lite"
    """A name of `ARCHITECTURES`."""

    init: str | None = None
    """Weights to begin with, by manifest name or file; None takes the network's default, `scratch` fresh ones."""

    flow: FlowChoice = "auto"
    """What aligns labels; auto takes SEA-RAFT where its weights are at hand, else DIS."""

    perceptual: PerceptualChoice = "auto"
    """Whether VGG-19 features are compared; auto where its weights are at hand."""

    options: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `AdaptConfig` that differ from its defaults."""

    minutes: float | None = None
    """Stop after this long."""

    patience: int | None = 5
    """Held-out checks without a better score after which to stop; None never."""

    device: str = "auto"
    """auto, cuda, cuda:N, mps or cpu."""

    precision: Precision = "auto"
    """Arithmetic of the network; auto is bf16 where the device has it, else fp32. There is no training in fp16."""

    max_memory: int | None = None
    """Bytes the training may use; None is what there is."""

    start: Moment | None = None
    """Where to begin in each clip."""

    duration: Moment | None = None
    """How much of each clip to take."""

    check_every: int | None = None
    """Steps between held-out checks; None is a twentieth of all, at least 25."""

    checkpoint_every: int = 50
    """Steps between checkpoints."""

    overwrite: bool = False
    """Whether existing weights are replaced."""

    offline: bool = False
    """Never touch the network to find weights."""

    def __post_init__(self) -> None:
        refuse_fp16(self.precision)
        for name, choices in (("flow", get_args(FlowChoice)), ("perceptual", get_args(PerceptualChoice))):
            if getattr(self, name) not in choices:
                raise UsageFault(
                    f"--{name} {getattr(self, name)}: there is none; choose one of {', '.join(choices)}."
                )
        if self.minutes is not None and self.minutes <= 0:
            raise UsageFault(f"--minutes {self.minutes:g}: must be above 0.")
        for name in ("patience", "check_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageFault(f"--{name.replace('_', '-')} {value}: must be at least 1.")

    @property
    def checkpoint(self) -> Path:
        """What a run that was cut off goes on from."""
        return self.weights.with_name(self.weights.name + ".checkpoint")

    @property
    def log(self) -> Path:
        """One JSON object a line for every step."""
        return self.weights.with_suffix(".log.jsonl")

    @property
    def pictures(self) -> Path:
        """Held-out places before and after."""
        return self.weights.with_suffix(".png")


@dataclass(frozen=True)
class ClipReport:
    """What was learned from one clip."""

    name: str
    """Of the file or folder."""

    sha256: str
    """Of its contents."""

    width: int
    height: int
    """Stored pixels."""

    frames: int
    """Decoded."""

    scenes: int
    """Shots that were trained on."""

    used: int
    """Frames in them."""

    sharp: int
    """Sharp frames in them, Ω."""

    withheld: int
    """Sharp frames kept for the held-out check."""


@dataclass(frozen=True)
class AdaptReport:
    """What an adaptation did."""

    weights: Path
    """What was written; `deblur --weights` takes it."""

    model: str
    base: str
    """What it began with: a name of the manifest, a file, or scratch."""

    improved: bool
    """Whether the held-out score rose; if not, the weights are the base's own."""

    before: Standing
    """The base network on the held-out probes; for fresh parameters, the untouched frames."""

    after: Standing
    """The weights that were written."""

    best_step: int
    """The step they are from; 0 is the base."""

    steps: int
    """Steps done."""

    ended: End
    """Why it ended."""

    seconds: float
    """Of training, since the last resume."""

    seconds_a_step: float
    """Mean."""

    peak_memory: int | None
    """Largest memory of this process in bytes, or of the GPU; None where the system does not say."""

    flow: str
    perceptual: str
    """What aligned the labels, and what compared them."""

    device: str
    config: Mapping[str, Any]
    clips: tuple[ClipReport, ...]
    log: Path
    pictures: Path


@dataclass(frozen=True)
class AdaptProgress:
    """Where an adaptation is."""

    phase: str
    """prepare, fetch, decode, train, finish or done."""

    done: int = 0
    total: int | None = None
    unit: str = "steps"

    step: StepReport | None = None
    """In `train`."""

    messages: tuple[str, ...] = ()
    """What a person should read now."""

    warnings: tuple[str, ...] = ()
    """What may spoil the result."""

    report: AdaptReport | None = None
    """With `done`."""
