"""Guard: no frame leaves worse than it came.

A restored picture must be a sharper view of the same thing. What is looked at, cheap things at a quarter of the size:

- numbers: NaN, infinity, a picture gone black or flat;
- place: the mean displacement against the input (it is put back, or given up), that of its quarters, and local ones;
- re-blur consistency: some blur of the result must give the input back, lamps being brighter than white;
- overshoot: halos and ringing beyond what the input shows nearby are cut off;
- colour: brightness and colours stay, as far as blur leaves them, and change only where light does;
- sharpness: the variance of the Laplacian never falls. Where the result is smoother than the input (noise taken out,
  or detail) only as much is taken out as the sharpening elsewhere makes up for.
What fails lets the input show through, by a smooth mask.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from selfhvd_cli.ops.blocks import block_means, enlarged
from selfhvd_cli.ops.sharpness import gray, sharpness
from selfhvd_cli.ops.stencil import smooth
from selfhvd_cli.restore.chroma import beyond_colours
from selfhvd_cli.restore.colour import put_back_colour
from selfhvd_cli.restore.displacement import displacements, shifted
from selfhvd_cli.restore.halos import beyond
from selfhvd_cli.restore.keep_sharp import BLOCK, Mix, keep_sharp, measure, ramp
from selfhvd_cli.restore.light import COARSE, light_of
from selfhvd_cli.restore.reblur import unexplained

STILL = (0.02, 0.007)
"""Mean displacement that is left as it is: pixels, and more per pixel of blur (whose centre is no certain place).
On synthetic clips they leave a shift of 0.02 px against the truth."""

MOVED = 0.35
"""Mean displacement beyond that, in pixels, from which on the result is given up instead of put back."""

LOCAL_MOVE = ((0.5, 1.2), (0.1, 0.2))
"""Local displacement where holding back begins and is complete: pixels, and more per pixel of blur."""

APART = (0.06, 0.03)
"""How far quarters of the picture may move otherwise than the whole: pixels, and more per pixel of blur. Of what
moves farther as much is held back as leaves that."""

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

FOREIGN = (0.08, 0.25)
"""Share of the change that is of colours which nothing accounts for, where holding back begins and is complete. Of
photographs in wrong colours, right in grey, 0.1 to 0.9 ended worse than the blurred frame without this, and none with
it but for noise, 0.1 to 0.3 (`tests/benchmarks/wrong_colours.py`)."""

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


def guard(frame: Tensor, restored: Tensor, strength: float = 1.0) -> tuple[Tensor, Verdict]:
    """`guard_each` of one frame, `[3, H, W]`, and its restoration."""
    return guard_each(frame.unsqueeze(0), restored.unsqueeze(0), strength)[0]


@torch.no_grad()
def guard_each(frames: Tensor, restored: Tensor, strength: float = 1.0) -> list[tuple[Tensor, Verdict]]:
    """Frames with as much of their restorations as holds up; each is judged as if it were alone.

    Args:
        frames: the inputs, `[N, 3, H, W]`, float32, RGB in [0, 1].
        restored: the network's pictures of them, same shape, unclamped.
        strength: share of the change to apply where nothing speaks against it.

    Returns:
        For each `[3, H, W]` in [0, 1], at least as sharp as the input, and the verdict.
    """
    faults = _plain_faults(frames, restored)
    results = [(frame, Verdict(0.0, 1.0, reason=fault)) for frame, fault in zip(frames, faults, strict=True)]
    sound = [place for place, fault in enumerate(faults) if not fault]
    judged: list[tuple[Tensor, Verdict]] = []
    if min(frames.shape[-2:]) < SMALLEST:
        judged = [_whole_or_not(frames[place], restored[place], strength) for place in sound]
    elif sound:
        judged = _judged(_those(frames, sound), _those(restored, sound), strength)
    for place, result in zip(sound, judged, strict=True):
        results[place] = result
    return results


def _those(pictures: Tensor, places: Sequence[int]) -> Tensor:
    return pictures if len(places) == len(pictures) else torch.stack([pictures[place] for place in places])


def _plain_faults(frames: Tensor, restored: Tensor) -> list[str]:
    """What is wrong with each picture at the first glance; empty where nothing is."""
    totals, left, before = torch.stack((restored.sum((1, 2, 3)), _contrast(restored), _contrast(frames))).tolist()
    small = min(frames.shape[-2:]) < SMALLEST
    found = []
    for total, some, much in zip(totals, left, before, strict=True):
        blank = "" if small or some >= EMPTY * much else "the network's picture is black or blank"
        found.append(blank if math.isfinite(total) else NO_NUMBERS)
    return found


def _judged(source: Tensor, restored: Tensor, strength: float) -> list[tuple[Tensor, Verdict]]:
    """`guard_each` of pictures that look like some."""
    picture = restored.clamp(0.0, 1.0)
    colour = put_back_colour(source, picture)
    source_gray, picture_gray = gray(source), gray(picture)
    source_half, picture_half = block_means(source_gray, 2), block_means(picture_gray, 2)
    source_light, picture_light = light_of(source, source_half), light_of(picture, picture_half)
    whole, apart, local = displacements(source_light, picture_light)
    denied, blur = unexplained(source_light, picture_light)
    blur = (blur * COARSE).view(-1, 1, 1, 1)
    shift = whole.norm(dim=1) * COARSE
    excess = (shift - STILL[0] - STILL[1] * blur.flatten()).clamp_min(0.0)
    shifts, excesses = torch.stack((shift, excess)).tolist()
    moved = [each > MOVED for each in excesses]
    if all(moved):
        return [(frame, _elsewhere(each)) for frame, each in zip(source, shifts, strict=True)]
    if any(excesses):
        # Those that have gone too far are given up below.
        part = torch.where(excess > MOVED, 0.0, excess / shift.clamp_min(1e-12)).unsqueeze(1)
        picture = shifted(picture, -COARSE * part * whole)
        picture_gray = gray(picture)
        picture_half = block_means(picture_gray, 2)
        # So small a move changes little else at a quarter of the size: what was measured there holds.
        local = local - (whole * part).view(-1, 2, 1, 1)
    overshoot, halos = beyond(source_half, picture_half, OVERSHOOT[0] + OVERSHOOT[1] * blur)
    overshoot = enlarged(overshoot, 2, source.shape[-2:])
    picture_gray.sub_(overshoot)
    picture.sub_(overshoot)
    foreign, share = beyond_colours(source, picture, source_half, picture_half)
    picture.sub_(enlarged(foreign, 2, source.shape[-2:]))

    detail = measure(source_gray, picture_gray)
    turned = 1.0 - (APART[0] + APART[1] * blur) / (COARSE * apart.view(-1, 1, 1, 1)).clamp_min(1e-12)
    local_move = ramp(torch.hypot(*local.split(1, dim=1)) * COARSE, _limits(LOCAL_MOVE, blur))
    evidence = {
        "parts of the picture moved": torch.maximum(local_move, turned),
        "the result does not explain the input": ramp(denied, UNEXPLAINED),
        "halos": ramp(halos, OVERSHOT),
        "ringing or noise": ramp(detail.growth(GRAIN), _limits(AMPLIFIED, blur)),
        "colours changed": torch.maximum(ramp(colour, OTHER_COLOUR), ramp(share, FOREIGN)),
    }
    trust = strength * (1.0 - smooth(torch.stack(list(evidence.values())).amax(0)))
    mixed, mix = keep_sharp(source_gray, picture_gray, trust, detail).of(source, picture, detail.sharpness)
    verdicts = _verdicts(evidence, mix, strength, picture_gray - source_gray, detail.sharpness)
    kept = [verdict.strength >= LEAST * strength for verdict in verdicts]
    judged = []
    for place, verdict in enumerate(verdicts):
        if moved[place]:
            judged.append((source[place], _elsewhere(shifts[place])))
        elif kept[place]:
            judged.append((mixed[place], replace(verdict, shift=shifts[place])))
        else:
            none = replace(verdict, strength=0.0, held_back=1.0, sharpness_after=verdict.sharpness_before)
            judged.append((source[place], replace(none, shift=shifts[place])))
    return judged


def _elsewhere(shift: float) -> Verdict:
    return Verdict(0.0, 1.0, shift=shift, reason=ELSEWHERE)


def _whole_or_not(frame: Tensor, restored: Tensor, strength: float) -> tuple[Tensor, Verdict]:
    """For frames too small to look at closely: all of the change if the frame gets no less sharp, else none."""
    result, verdict = apply(frame, restored, strength)
    before, after = sharpness(torch.stack([frame, result])).tolist()
    if after >= before:
        return result, replace(verdict, sharpness_before=before, sharpness_after=after)
    return frame, Verdict(0.0, 1.0, before, before, reason=SMOOTHER)


def _contrast(pictures: Tensor) -> Tensor:
    """Standard deviation of each of `[N, 3, H, W]`, from every fourth pixel."""
    return pictures[..., ::COARSE, ::COARSE].clamp(0.0, 1.0).std((1, 2, 3))


def _limits(limits: tuple[tuple[float, float], tuple[float, float]], blur: Tensor) -> tuple[Tensor, Tensor]:
    """Limits for blurs of so many pixels: fixed parts, and more per pixel."""
    (low, high), (more_low, more_high) = limits
    return low + more_low * blur, high + more_high * blur


def _verdicts(
    evidence: dict[str, Tensor], mix: Mix, strength: float, change: Tensor, before: Tensor
) -> list[Verdict]:
    """Sum up: shares of the change, and the reason that held most of it, for each of the pictures."""
    weight = block_means(change.abs_(), BLOCK) + 1e-6
    weight = weight / weight.sum((1, 2, 3), keepdim=True)
    mask = mix.mask * mix.succeeded.view(-1, 1, 1, 1)
    shares = torch.cat(list(evidence.values()), dim=1)
    counted = torch.cat((shares, shares.amax(1, keepdim=True), mask), dim=1).mul_(weight).sum((2, 3))
    held = (mask < 0.5 * strength).float().mean((1, 2, 3))
    numbers = torch.cat((counted, torch.stack((held, before, mix.sharpness), dim=1)), dim=1).tolist()
    verdicts = []
    for *found, worst, applied, held_back, was, became in numbers:
        by_reason = {reason: strength * share for reason, share in zip(evidence, found, strict=True)}
        by_reason[SMOOTHER] = strength * (1.0 - worst) - applied
        reason = max(by_reason, key=lambda name: by_reason[name])
        said = reason if strength - applied > 0.1 * strength else ""
        verdicts.append(Verdict(applied, held_back, was, became, reason=said))
    return verdicts
