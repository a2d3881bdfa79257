"""Everything that decides what a pretraining computes, but for the photographs, in one value."""

from __future__ import annotations

import math
from dataclasses import dataclass

from selfhvd_cli.errors import UsageFault


@dataclass(frozen=True)
class PretrainConfig:
    """One pretraining; its checkpoint keeps it."""

    steps: int = 20_000
    """Optimizer steps in all; the learning rate decays over them."""

    batch: int = 8
    """Windows a step."""

    crop: int = 192
    """Height and width of the windows in pixels, a multiple of 32."""

    sources: int = 4
    """Frames that help each target."""

    rate: float = 5e-4
    """Peak learning rate of AdamW."""

    flow_weight: float = 0.02
    """Weight of the flow's loss beside the picture's."""

    reuse: int = 4
    """Times each rendered window is trained on, on average."""

    cascade: float = 0.7
    """Share of the steps whose targets were restored at a fraction of their size first, as they are in use."""

    balance: float = 0.0
    """How far sharp frames count as much as blurred ones, 0 to 1; the embedded weights were made with 0."""

    keep_flow: bool = False
    """Whether the flow stays as it begins, and what restores learns alone: a step takes about half the time."""

    seed: int = 0
    """Decides windows, order and initial parameters."""

    @property
    def halvings(self) -> int:
        """How often a target is halved at most: as often as in use, while the smallest is one the network takes."""
        return 2 if self.crop >= 256 else 1

    def __post_init__(self) -> None:
        if self.crop % 32 or self.crop < 64:
            raise UsageFault(f"--crop {self.crop}: must be a multiple of 32, at least 64.")
        if not 0.0 <= self.balance <= 1.0:
            raise UsageFault(f"--balance {self.balance}: must be from 0 to 1.")
        if min(self.steps, self.batch, self.sources) < 1:
            raise UsageFault("--steps, --batch and --sources must be at least 1.")
        if not 0 < self.rate < math.inf:
            raise UsageFault(f"--rate {self.rate}: must be above 0, and a number.")
        if self.seed < 0:
            raise UsageFault(f"--seed {self.seed}: cannot be negative.")
