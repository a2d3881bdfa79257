"""The held-out check: withheld sharp frames, as labels of their neighbours or re-blurred, tell whether it helps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from selfhvd_cli.device import Compute
from selfhvd_cli.flow.estimator import FlowEstimator
from selfhvd_cli.restore.restorer import Restorer
from selfhvd_cli.training.approach import Approach
from selfhvd_cli.training.config import AdaptConfig
from selfhvd_cli.training.footage import Shot
from selfhvd_cli.training.pairs import align_labels, teaches
from selfhvd_cli.training.probes import Probe, cut, look, restore_probe, spread
from selfhvd_cli.training.reblur import blurry_moments, reblur_like

FEWEST = 4
"""Sharp frames above the threshold that a shot must have before one is withheld."""

SHARE = 6
"""One of so many sharp frames is withheld."""

SHIFT_MARGIN = 0.1
"""Pixels by which outputs may lie farther from the input than the base network's; the exact truth of strongly blurred
frames measures 0.05 to 0.37 px off itself."""

CLEARLY = 0.05
"""Decibels by which a network must score above its base to be handed out: the held-out truth errs. On six synthetic
clips adapted for 30 steps the score rose by 0.04 to 0.24 dB, and the real truth by 0.01 to 0.09 dB but for the clip
whose score rose least, which lost 0.01. The harm of a longer training it overlooked: score 0.23 dB, truth -0.02."""

SUB_PIXEL = 0.5
"""The same where there is no base network."""

LEAST_TRUST = 0.02
"""Mean mask of an aligned held-out label below which it tells nothing."""


def withhold(shots: Sequence[Shot], most: int) -> list[Shot]:
    """The shots with some of their sharp frames withheld from training, at most `most` in all, evenly spread.

    The first and the last sharp frame of a shot stay: nothing else could teach its ends. Where sharp frames are few,
    none is withheld.
    """
    candidates = []
    for number, shot in enumerate(shots):
        clear = [frame for frame in shot.sharp.indices if frame in set(shot.sharp.above)]
        if len(clear) >= FEWEST:
            inner = [(number, frame) for frame in clear[1:-1]]
            candidates += list(spread(inner, max(1, len(clear) // SHARE)))
    chosen = list(spread(candidates, most))
    return [
        replace(shot, withheld=tuple(frame for number, frame in chosen if number == place))
        for place, shot in enumerate(shots)
    ]


@dataclass(frozen=True)
class Standing:
    """How good a network is on the held-out probes."""

    score: float
    """Mean PSNR in dB over the probes whose truth is known."""

    shift: float
    """Mean displacement of its outputs on the blurry probes, in pixels."""

    sharpness: float
    """Mean S of its outputs on the blurry probes."""

    def beats(self, other: Standing, base: Standing, margin: float = 0.0) -> bool:
        """Whether it scores higher and does not move the picture more than the base network, within the margin."""
        # The untouched frames, which stand in as base for fresh parameters, have no displacement to compare with.
        limit = base.shift + SHIFT_MARGIN if base.shift > 0 else SUB_PIXEL
        clearly = self.score > base.score + CLEARLY or base.shift == 0
        return clearly and self.score > other.score + margin and self.shift <= limit


def standing(restorer: Restorer, known: Sequence[Probe], blurry: Sequence[Probe], compute: Compute) -> Standing:
    """Score a network; a network that gives no numbers scores minus infinity."""
    scores = [psnr(restore_probe(restorer, probe, compute), probe) for probe in known]
    seen = look(restorer, blurry, compute)
    score = sum(scores) / len(scores)
    return Standing(score if score == score else float("-inf"), seen.shift, seen.sharpness)


def psnr(picture: Tensor, probe: Probe) -> float:
    """PSNR in dB against a probe's truth, over the pixels that its mask trusts."""
    assert probe.truth is not None
    error = (picture - probe.truth).square().mean(dim=0, keepdim=True)
    if probe.mask is not None:
        error = error * probe.mask / probe.mask.mean()
    return float(-10.0 * torch.log10(error.mean().clamp(min=1e-10)))


def held_out_probes(
    shots: Sequence[Shot],
    restorer: Restorer,
    estimator: FlowEstimator,
    approach: Approach,
    config: AdaptConfig,
    compute: Compute,
    length: int,
    most: int,
    trusted: bool = True,
) -> list[Probe]:
    """For each withheld frame its nearest blurry frame, with it as label; else re-blurred frames.

    The first have a real blur, and a truth as good as its alignment, found once from the base network's output.
    Where they tell nothing, the withheld frames themselves are re-blurred, and where none is withheld the sharpest
    frames: they took part in training, but not in this disguise.

    A re-blurred frame has the noise of its truth, and where labels are the base network's own work its truth is that
    network's output: whatever differs from it counts as worse, be it better or not. Measured: the first kind rose by
    0.25 dB where the truth said 0.22, while the second fell by 0.15; and from scratch, where the truth rose by
    3.1 dB, the mean of both kinds fell from 41.4 to 37.1.

    Args:
        restorer: the base network.
        length: frames of a sequence.
        most: withheld or sharpest frames that are used.
        trusted: whether the clip's sharp frames are sharper than what the base network makes of them.
    """
    held = [(number, frame) for number, shot in enumerate(shots) for frame in shot.withheld]
    substitutes = not held
    if substitutes:
        held = [(number, shot.sharp.scores.index(max(shot.sharp.scores))) for number, shot in enumerate(shots)]
    chosen = [(shots[number], frame) for number, frame in spread(held, most)]
    real: list[Probe] = []
    for shot, frame in chosen:
        if not substitutes and shot.blurry:
            _, neighbour = min((abs(other - frame), other) for other in shot.blurry)
            probe = _labelled(shot, neighbour, frame, restorer, trusted, estimator, approach, config, compute, length)
            if probe is not None:
                real.append(probe)
    return real or [_reblurred(shot, frame, restorer, trusted, approach, compute, length) for shot, frame in chosen]


def _reblurred(
    shot: Shot, frame: int, restorer: Restorer, trusted: bool, approach: Approach, compute: Compute, length: int
) -> Probe:
    """The probe of a sharp frame that was given the blur of a blurry one of its shot.

    Its truth is the frame, or, where it cannot be trusted, what the base network makes of it without that blur.
    """
    plain = cut(shot, frame, length, f"frame {frame} re-blurred")
    moments = blurry_moments(shot)
    frames = plain.frames.clone()
    frames[plain.place] = reblur_like(plain.input, shot, frame, moments[len(moments) // 2], approach)
    if trusted:
        truth = approach.label(shot, frame, plain.top, plain.left, plain.frames.shape[-1])
    else:
        # A sharp frame that keeps some blur is no truth for a network that removes it.
        truth = restore_probe(restorer, plain, compute)
    return replace(plain, frames=frames, truth=truth)


def _labelled(
    shot: Shot,
    frame: int,
    label: int,
    restorer: Restorer,
    trusted: bool,
    estimator: FlowEstimator,
    approach: Approach,
    config: AdaptConfig,
    compute: Compute,
    length: int,
) -> Probe | None:
    """The probe of a blurry frame with a withheld sharp frame, aligned onto the base network's output, as truth.

    None where that tells nothing: it could not be aligned, or is softer than the output.
    """
    probe = cut(shot, frame, length, f"frame {frame} against {label}")
    crop = approach.crop_near(shot, frame, label, probe.top, probe.left, probe.frames.shape[-1])
    output = restore_probe(restorer, probe, compute)
    one = torch.zeros(1, dtype=torch.bool, device=compute.device)
    output, given, label_crop = (x.unsqueeze(0).to(compute.device) for x in (output, probe.input, crop))
    found = align_labels(output, given, label_crop, one, estimator, config)
    if float(found.mask.mean()) < LEAST_TRUST or not teaches(found, output, given, one, trusted, config).item():
        return None
    return replace(probe, truth=found.pictures[0].cpu(), mask=found.mask[0].cpu())
