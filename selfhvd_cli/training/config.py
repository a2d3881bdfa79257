"""Everything that decides what an adaptation computes, in one value that its checkpoint keeps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from selfhvd_cli.errors import UsageFault

Masks = Literal["none", "occlusion", "uncertainty", "both"]


@dataclass(frozen=True)
class AdaptConfig:
    """One adaptation. The defaults are for short runs on one clip; the paper's own values are named beside them."""

    steps: int = 2000
    """Optimizer steps in all; the learning rate decays over them."""

    first_stage: float = 0.4
    """Share of the steps in stage 1 (aligned labels); the others are stage 2 (SEVD and SCSCM)."""

    batch: int = 2
    """Crops a step, over all processes."""

    crop: int = 256
    """Height and width of the crops in pixels (paper: 256)."""

    sequence: int = 9
    """Consecutive frames the network sees (the authors' configuration: 30)."""

    targets: int = 3
    """Frames in the middle of a sequence that a network which selects frames is asked for; others give all."""

    rate: float = 1e-4
    """Peak learning rate of Adam (authors: 1e-4). On a clip of 60 frames `lite` gained more at 2e-4 than at 3e-5, and
    on another at 1e-4; on one of 32 frames 120 steps at 1e-4 lost what 30 had gained."""

    floor: float = 1e-7
    """Learning rate at the end of the cosine (authors: 1e-7)."""

    warmup: int = 20
    """Steps over which the rate rises, for the optimizer knows no second moments yet; at most a fifth of all."""

    seed: int = 0
    """Decides crops, order and fresh parameters."""

    segment: int = 20
    """Frames of a segment in the selection of sharp frames (paper: 20)."""

    restored_labels: bool = True
    """Whether sharp frames teach as the base network restores them (not in the paper; from scratch there is none)."""

    neighbours: int = 3
    """Each draw takes its label from one of so many sharp frames closest in time (paper: 1): what differs between
    them, noise and errors of alignment, does not last."""

    sharp_share: float = 0.5
    """Share of crops that are centred on a sharp frame, which is its own label: they teach to leave such frames as
    they are. With 0.3, drawn at random, a synthetic clip lost 0.4 dB on its sharp frames in 10 steps; with one such
    crop in every batch of two, nothing. From scratch it is 0.15: there they are mostly idle."""

    masks: Masks = "both"
    """Which of the masks of Eqs. 4 and 5 weigh the aligned labels (paper: both)."""

    occlusion_strength: float = 0.5
    """α of Eq. 5: a pixel that returns 1 px off weighs exp(-0.5), one 3 px off 0.01."""

    distortion: float = 0.5
    """τ of Eq. 8: an aligned label with a smaller share of unmasked pixels is not used in stage 2."""

    clearly_sharper: float = 1.1
    """How many times as sharp as the input an aligned label must be to teach anything, in stage 1 and in stage 2: c_i
    of Eq. 8 asks for this, too. Not in the paper, which takes every label in stage 1, and in stage 2 those that are
    sharper than the network's output."""

    sevd: bool = True
    """Stage 2 learns from the clip without some of its sharp frames (Eq. 7)."""

    rscr: bool = True
    """SEVD removes sharp frames at random; without it the network sees the whole clip (paper, without RSCR: random
    frames are removed)."""

    sis: bool = True
    """SEVD chooses the better of label and own output; without it always the label."""

    scscm: bool = True
    """Stage 2 stays close to its own earlier output (Eq. 10)."""

    refreshes: int = 2
    """Times the earlier network may be replaced by the current one (paper: 2)."""

    aligned_below: float = 0.25
    """Mean displacement in pixels up to which output and input count as aligned, for such a replacement. The exact
    truth of strongly blurred frames measures 0.05 to 0.37 px off."""

    reblurred: float = 0.0
    """Share of crops that show a sharp frame under the blur of another moment, with itself, as it teaches, for exact
    label (not in the paper, which learns from real blur only)."""

    perceptual_weight: float = 1.0
    """Weight of L_per, where VGG-19 is at hand (paper: 1)."""

    consistency_weight: float = 1.0
    """Weight of L_sc (paper: 1)."""

    average: float = 0.999
    """Decay of the averaged parameters, which are the ones handed out."""

    clip_gradient: float = 0.5
    """Largest norm of the gradient."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "targets", "segment", "neighbours"):
            if getattr(self, name) < 1:
                raise UsageFault(f"--{name} {getattr(self, name)}: must be at least 1.")
        if self.crop < 64 or self.crop % 8:
            raise UsageFault(f"--crop {self.crop}: must be a multiple of 8, at least 64.")
        if self.sequence < 2:
            raise UsageFault(f"--sequence {self.sequence}: the network needs at least 2 frames to learn from others.")
        if not 0.0 <= self.first_stage <= 1.0:
            raise UsageFault(f"--first-stage {self.first_stage}: choose a share from 0 to 1.")
        for name in ("reblurred", "sharp_share"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise UsageFault(f"--{name.replace('_', '-')} {getattr(self, name)}: choose a share from 0 to 1.")
        if not 0 < self.rate < math.inf:
            raise UsageFault(f"--rate {self.rate}: must be above 0, and a number.")
        if self.seed < 0:
            raise UsageFault(f"--seed {self.seed}: cannot be negative.")
        if self.masks not in get_args(Masks):
            raise UsageFault(f"--masks {self.masks}: no such masks; choose one of {', '.join(get_args(Masks))}.")
        if self.refreshes < 0:
            raise UsageFault(f"--refreshes {self.refreshes}: cannot be negative.")

    @property
    def rising_steps(self) -> int:
        """Steps of the warm-up."""
        return min(self.warmup, self.steps // 5)

    @property
    def stage_two(self) -> int:
        """The first step (from 0) of stage 2."""
        return round(self.first_stage * self.steps)
