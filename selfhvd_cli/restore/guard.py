"""Guard: no frame leaves worse than it came.

A restored picture must be a sharper view of the same thing. What is looked at, cheap things at a quarter of the size:

- numbers: NaN, infinity, a picture gone black or flat;
- place: the mean displacement against the input (it is put back, or given up), and local ones;
- re-blur consistency: some blur of the result must give the input back;
- overshoot: halos and ringing beyond what the input shows nearby are cut off;
- colour: local means stay the input's;
- sharpness: the variance of the Laplacian never falls. Where the result is smoother than the input (noise taken out,
  or detail) only as much is taken out as the sharpening elsewhere makes up for.
What fails lets the input show through, by a smooth mask.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from selfhvd_cli.ops.blocks import block_means, enlarged
from selfhvd_cli.ops.sharpness import gray, sharpness
from selfhvd_cli.ops.stencil import smooth
from selfhvd_cli.restore.colour import put_back_colour
from selfhvd_cli.restore.displacement import displacements, shifted
from selfhvd_cli.restore.halos import beyond
from selfhvd_cli.restore.keep_sharp import BLOCK, Mix, keep_sharp, measure, ramp
from selfhvd_cli.restore.reblur import unexplained

COARSE = 4
"""Pixels a side that make one of the coarse scale."""

STILL = (0.02, 0.007)
"""Mean displacement that is left as it is: pixels, and more per pixel of blur (whose centre is no certain place).
On synthetic clips they leave a shift of 0.02 px against the truth."""

MOVED = 0.35
"""Mean displacement beyond that, in pixels, from which on the result is given up instead of put back."""

LOCAL_MOVE = ((0.5, 1.2), (0.1, 0.2))
"""Local displacement where holding back begins and is complete: pixels, and more per pixel of blur."""

UNEXPLAINED = (0.45, 0.85)
"""Share of the change that no blur explains, where holding back begins and is complete."""

OVERSHOOT = (0.05, 0.03)
"""How far beyond the values nearby a result may go, as a share of their range: halos do, and thin lines that were
blurred, so more is allowed per pixel of blur."""

OVERSHOT = (0.4, 0.8)
"""Share of the change that overshoots, where holding back begins and is complete."""

EMPTY = 0.2
"""Contrast of the result, as a share of the input's, below which it is black or blank."""

LEAST = 0.15
"""Share of the change below which what is left of it is not worth its patches."""

AMPLIFIED = ((2.6, 5.2), (3.0, 6.0))
"""Growth of a block's Laplacian energy where holding back begins and is complete, and more per pixel of blur: true
detail grows less, ringing, halos and noise more. 2.2 and 4.5 took 0.06 dB from the blurry half
of the synthetic clips; 3.0 and 6.0 would let halos of oversharpening through."""

GRAIN = 10.0 / 255.0**2
"""Laplacian energy of the faintest noise, below which growth says nothing."""

OTHER_COLOUR = (0.08, 0.16)
"""Local change of the mean colour where holding back begins and is complete."""

SMALLEST = 16
"""Shorter side in pixels below which a frame is too small to be judged."""

ELSEWHERE = "the network moved the whole picture"
NO_NUMBERS = "the network gave no numbers (NaN or infinity)"
SMOOTHER = "it would have been smoother than the input"


@dataclass(frozen=True)
class Verdict:
    """What was done with one restored frame, and why."""

    strength: float
    """Share of the network's change that was applied, 0 to 1, weighted by its size; 0: the frame is the input."""

    held_back: float
    """Share of the pixels where more than half of the change was held back."""

    sharpness_before: float | None = None
    """Variance of the Laplacian of the input; None where it was not measured."""

    sharpness_after: float | None = None
    """The same of the result."""

    shift: float | None = None
    """Mean displacement of the network's picture against the input, in pixels, before it was put back."""

    reason: str = ""
    """What was held back most, in words; empty if little was."""


def apply(frame: Tensor, restored: Tensor, strength: float = 1.0) -> tuple[Tensor, Verdict]:
    """The restored frame in [0, 1], unchecked but for numbers that are none.

    Args:
        frame: the input, `[3, H, W]`, RGB in [0, 1].
        restored: the network's picture of it, same shape, unclamped.
        strength: share of the change to apply.
    """
    if not torch.isfinite(restored).all():
        return frame, Verdict(0.0, 1.0, reason=NO_NUMBERS)
    return torch.lerp(frame, restored.clamp(0.0, 1.0), strength), Verdict(strength, 0.0)


@torch.no_grad()
def guard(frame: Tensor, restored: Tensor, strength: float = 1.0) -> tuple[Tensor, Verdict]:
    """The frame with as much of its restoration as holds up.

    Args:
        frame: the input, `[3, H, W]`, float32, RGB in [0, 1].
        restored: the network's picture of it, same shape, unclamped.
        strength: share of the change to apply where nothing speaks against it.

    Returns:
        `[3, H, W]` in [0, 1], at least as sharp as the input, and the verdict.
    """
    total, left, before = torch.stack((restored.sum(), _contrast(restored), _contrast(frame))).tolist()
    if not math.isfinite(total):
        return frame, Verdict(0.0, 1.0, reason=NO_NUMBERS)
    if min(frame.shape[-2:]) < SMALLEST:
        return _whole_or_not(frame, restored, strength)
    if left < EMPTY * before:
        return frame, Verdict(0.0, 1.0, reason="the network's picture is black or blank")
    source = frame.unsqueeze(0)
    picture = restored.unsqueeze(0).clamp(0.0, 1.0)
    colour = put_back_colour(source, picture)
    source_gray, picture_gray = gray(source), gray(picture)
    source_half, picture_half = block_means(source_gray, 2), block_means(picture_gray, 2)
    source_light, picture_light = _light(source_half), _light(picture_half)
    whole, local = displacements(source_light, picture_light)
    denied, blur = unexplained(source_light, picture_light)
    blur *= COARSE
    shift = float(whole.norm()) * COARSE
    excess = shift - STILL[0] - STILL[1] * blur
    if excess > MOVED:
        return frame, Verdict(0.0, 1.0, shift=shift, reason=ELSEWHERE)
    if excess > 0.0:
        picture = shifted(picture, whole * (-excess * COARSE / shift))
        picture_gray = gray(picture)
        picture_half = block_means(picture_gray, 2)
        # So small a move changes little else at a quarter of the size: what was measured there holds.
        local = local - (whole * (excess / shift)).view(1, 2, 1, 1)
    overshoot, halos = beyond(source_half, picture_half, OVERSHOOT[0] + OVERSHOOT[1] * blur)
    overshoot = enlarged(overshoot, 2, source.shape[-2:])
    picture_gray.sub_(overshoot)
    picture.sub_(overshoot)

    detail = measure(source_gray, picture_gray)
    evidence = {
        "parts of the picture moved": ramp(torch.hypot(*local.split(1, dim=1)) * COARSE, _limits(LOCAL_MOVE, blur)),
        "the result does not explain the input": ramp(denied, UNEXPLAINED),
        "halos": ramp(halos, OVERSHOT),
        "ringing or noise": ramp(detail.growth(GRAIN), _limits(AMPLIFIED, blur)),
        "colours changed": ramp(colour, OTHER_COLOUR),
    }
    trust = strength * (1.0 - smooth(torch.stack(list(evidence.values())).amax(0)))
    mix = keep_sharp(source_gray, picture_gray, trust, detail)
    verdict = _verdict(evidence, mix, strength, picture_gray - source_gray, detail.sharpness, shift)
    if mix.mask is None or verdict.strength < LEAST * strength:
        return frame, replace(verdict, strength=0.0, held_back=1.0, sharpness_after=detail.sharpness)
    result = torch.lerp(source, picture, enlarged(mix.mask, BLOCK, source.shape[-2:]))
    if mix.added is not None:
        result.add_(mix.added)
    return result.clamp_(0.0, 1.0)[0], verdict


def _whole_or_not(frame: Tensor, restored: Tensor, strength: float) -> tuple[Tensor, Verdict]:
    """For frames too small to look at closely: all of the change if the frame gets no less sharp, else none."""
    result, verdict = apply(frame, restored, strength)
    before, after = sharpness(torch.stack([frame, result])).tolist()
    if after >= before:
        return result, replace(verdict, sharpness_before=before, sharpness_after=after)
    return frame, Verdict(0.0, 1.0, before, before, reason=SMOOTHER)


def _contrast(picture: Tensor) -> Tensor:
    """Standard deviation of `[3, H, W]`, from every fourth pixel."""
    return picture[:, ::COARSE, ::COARSE].clamp(0.0, 1.0).std()


def _light(half: Tensor) -> Tensor:
    """Coarse grey picture in about linear light: the square of a code value, whatever the curve's exact exponent."""
    return block_means(half.square(), COARSE // 2)


def _limits(limits: tuple[tuple[float, float], tuple[float, float]], blur: float) -> tuple[float, float]:
    """Limits for a blur of so many pixels: fixed parts, and more per pixel."""
    (low, high), (more_low, more_high) = limits
    return low + more_low * blur, high + more_high * blur


def _verdict(
    evidence: dict[str, Tensor], mix: Mix, strength: float, change: Tensor, before: float, shift: float
) -> Verdict:
    """Sum up: shares of the change, and the reason that held most of it."""
    weight = block_means(change.abs_(), BLOCK) + 1e-6
    weight = weight / weight.sum()
    mask = torch.zeros_like(weight) if mix.mask is None else mix.mask
    shares = torch.cat(list(evidence.values()), dim=1)
    counted = torch.cat((shares, shares.amax(1, keepdim=True), mask), dim=1).mul_(weight).sum((0, 2, 3))
    held = (mask < 0.5 * strength).float().mean().view(1)
    *found, worst, applied, held_back = torch.cat((counted, held)).tolist()
    by_reason = {reason: strength * share for reason, share in zip(evidence, found, strict=True)}
    by_reason[SMOOTHER] = strength * (1.0 - worst) - applied
    reason = max(by_reason, key=lambda name: by_reason[name])
    said = reason if strength - applied > 0.1 * strength else ""
    return Verdict(applied, held_back, before, mix.sharpness, shift, said)
