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

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.ops.sharpness import gray, laplacian
from selfhvd_cli.restore.displacement import displacements, smooth
from selfhvd_cli.restore.reblur import unexplained

COARSE = 4
"""Pixels a side that make one of the coarse scale."""

STILL = (0.08, 0.06)
"""Mean displacement that is left as it is: pixels, and more per pixel of blur (whose centre is no certain place)."""

MOVED = 0.35
"""Mean displacement beyond that, in pixels, from which on the result is given up instead of put back."""

LOCAL_MOVE = ((0.5, 1.2), (0.1, 0.2))
"""Local displacement where holding back begins and is complete: pixels, and more per pixel of blur."""

UNEXPLAINED = (0.45, 0.85)
"""Share of the change that no blur explains, where holding back begins and is complete."""

OVERSHOOT = (0.1, 0.025)
"""How far beyond the values nearby a result may go, as a share of their range: halos do, and thin lines that were
blurred, so more is allowed per pixel of blur."""

OVERSHOOT_NOISE = 2.0 / 255.0
"""Overshoot that is nothing yet."""

OVERSHOT = (0.4, 0.8)
"""Share of the change that overshoots, where holding back begins and is complete."""

COLOUR = 1.0 / 255.0
"""Local change of the mean colour that is left as it is; more is taken off."""

EMPTY = 0.2
"""Contrast of the result, as a share of the input's, below which it is black or blank."""

AMPLIFIED = ((5.0, 10.0), (3.5, 7.0))
"""Growth of a block's Laplacian energy where holding back begins and is complete, and more per pixel of blur: true
detail grows less, ringing, halos and noise more."""

GRAIN = 10.0 / 255.0**2
"""Laplacian energy of the faintest noise, below which growth says nothing."""

OTHER_COLOUR = (0.08, 0.16)
"""Local change of the mean colour where holding back begins and is complete."""

LOST = (0.6, 1.2)
"""Share of the input's grain a block needs to be as sharp as it was, where the input begins to come back and does."""


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


NO_NUMBERS = "the network gave no numbers (NaN or infinity)"


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
    if not torch.isfinite(restored).all():
        return frame, Verdict(0.0, 1.0, reason=NO_NUMBERS)
    if min(frame.shape[-2:]) < 4 * COARSE:
        return apply(frame, restored, strength)
    source = frame.unsqueeze(0)
    picture = restored.unsqueeze(0).clamp(0.0, 1.0)
    picture, colour = _with_colour_of(source, picture)
    source_gray, picture_gray = gray(source), gray(picture)
    source_light, picture_light = _light(source_gray), _light(picture_gray)
    if float(picture_light.std()) < EMPTY * float(source_light.std()):
        return frame, Verdict(0.0, 1.0, reason="the network's picture is black or blank")
    whole, local = displacements(source_light, picture_light)
    denied, blur = unexplained(source_light, picture_light)
    shift = float(whole.norm()) * COARSE
    excess = shift - STILL[0] - STILL[1] * blur * COARSE
    if excess > MOVED:
        return frame, Verdict(0.0, 1.0, shift=shift, reason=f"the network moved the picture by {shift:.1f} px")
    if excess > 0.0:
        picture = shifted(picture, whole * (-excess * COARSE / shift))
        picture_gray = gray(picture)
        picture_light = _light(picture_gray)
        _, local = displacements(source_light, picture_light)
        denied, _ = unexplained(source_light, picture_light)
    overshoot = _overshoot(source_gray, picture_gray, OVERSHOOT[0] + OVERSHOOT[1] * blur * COARSE)
    picture_gray = picture_gray - overshoot
    picture = picture - overshoot
    detail = _detail(source_gray, picture_gray)
    growth = (detail.source + 2.0 * detail.cross + detail.change) / (detail.source + GRAIN)
    evidence = {
        "parts of the picture moved": _held(local.norm(dim=1, keepdim=True) * COARSE, _limits(LOCAL_MOVE, blur)),
        "the result does not explain the input": _held(denied, UNEXPLAINED),
        "halos": _held(_share_of_change(overshoot, source_gray, picture_gray), OVERSHOT),
        "ringing or noise": _resized(_held(growth, _limits(AMPLIFIED, blur)), denied),
        "colours changed": _held(colour, OTHER_COLOUR),
    }
    trust = strength * _passing(list(evidence.values()))
    result, mask, after = _as_sharp(source, picture, source_gray, picture_gray, trust, detail)
    return result[0], _verdict(evidence, mask, strength, picture_gray - source_gray, (detail.sharpness, after), shift)


def _limits(limits: tuple[tuple[float, float], tuple[float, float]], blur: float) -> tuple[float, float]:
    """Limits for a blur of so many coarse pixels: fixed parts, and more per pixel."""
    (low, high), (more_low, more_high) = limits
    return low + more_low * blur * COARSE, high + more_high * blur * COARSE


def _light(picture: Tensor) -> Tensor:
    """Coarse grey picture in about linear light: the square of a code value, whatever the curve's exact exponent."""
    return F.avg_pool2d(picture.square(), COARSE, ceil_mode=True)


def shifted(picture: Tensor, by: Tensor) -> Tensor:
    """`[1, C, H, W]` moved by `by` = (dx, dy) pixels of at most one, with six-tap Lanczos, edges repeated."""
    taps = torch.arange(-3, 4, device=picture.device, dtype=picture.dtype)
    dx, dy = by[0], by[1]
    channels = picture.shape[1]

    def lanczos(offset: Tensor) -> Tensor:
        at = taps + offset
        kernel = torch.where(at.abs() < 3, torch.sinc(at) * torch.sinc(at / 3), torch.zeros_like(at))
        return kernel / kernel.sum()

    padded = F.pad(picture, (3, 3, 3, 3), mode="replicate")
    rows = lanczos(dy).view(1, 1, 7, 1).expand(channels, -1, -1, -1)
    columns = lanczos(dx).view(1, 1, 1, 7).expand(channels, -1, -1, -1)
    return F.conv2d(F.conv2d(padded, rows, groups=channels), columns, groups=channels).clamp_(0.0, 1.0)


def _held(measure: Tensor, limits: tuple[float, float]) -> Tensor:
    """0 where a measure is below the first limit, 1 above the second, smooth between."""
    position = ((measure - limits[0]) / (limits[1] - limits[0])).clamp(0.0, 1.0)
    return position * position * (3.0 - 2.0 * position)


def _passing(held: list[Tensor]) -> Tensor:
    """Coarse mask of what passes: nothing that any measure holds, smoothed."""
    return 1.0 - smooth(torch.stack(held).amax(0))


def _with_colour_of(source: Tensor, picture: Tensor) -> tuple[Tensor, Tensor]:
    """The picture with the source's mean colour, over all and locally; and by how much it differed locally."""
    change = F.avg_pool2d(picture, COARSE, ceil_mode=True) - F.avg_pool2d(source, COARSE, ceil_mode=True)
    local = change
    for _ in range(2):
        local = F.avg_pool2d(local, 17, stride=1, padding=8, count_include_pad=False)
    overall = change.mean((2, 3), keepdim=True)
    local = local - overall
    excess = local - local.clamp(-COLOUR, COLOUR)
    correction = overall + excess
    if float(correction.abs().max()) > 0.25 / 255.0:
        picture = (picture - _enlarged(correction, picture)).clamp_(0.0, 1.0)
    return picture, (local + overall).abs().amax(1, keepdim=True)


def _overshoot(source: Tensor, picture: Tensor, allowed: float) -> Tensor:
    """Signed part of the grey picture that lies beyond the range of the source nearby: `[1, 1, H, W]`."""
    calm = F.avg_pool2d(F.pad(source, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    high = F.max_pool2d(F.max_pool2d(calm, COARSE, ceil_mode=True), 5, stride=1, padding=2)
    low = -F.max_pool2d(F.max_pool2d(-calm, COARSE, ceil_mode=True), 5, stride=1, padding=2)
    margin = allowed * (high - low) + OVERSHOOT_NOISE
    high, low = _enlarged(smooth(high + margin), source), _enlarged(smooth(low - margin), source)
    return picture - torch.minimum(torch.maximum(picture, low), high)


def _share_of_change(overshoot: Tensor, source: Tensor, picture: Tensor) -> Tensor:
    """Overshoot as a share of the whole change, `[1, 1, h, w]`, coarse."""

    def around(values: Tensor) -> Tensor:
        coarse = F.avg_pool2d(values, COARSE, ceil_mode=True)
        return F.avg_pool2d(coarse, 5, stride=1, padding=2, count_include_pad=False)

    cut = around(overshoot.abs())
    return cut / (cut + around((picture - source).abs()) + OVERSHOOT_NOISE)


class Detail(NamedTuple):
    """Laplacian energies of 16-pixel blocks, `[1, 1, h, w]`, from which that of any mix of the pictures follows."""

    source: Tensor
    """Of the input."""

    cross: Tensor
    """Input times change."""

    change: Tensor
    """Of the change."""

    grain_source: Tensor
    """Input times the input's grain (its finest band)."""

    grain_change: Tensor
    """Change times grain."""

    grain: Tensor
    """Of the grain."""

    sharpness: float
    """Variance of the Laplacian of the whole input, in 8-bit code values."""


def _detail(source: Tensor, picture: Tensor) -> Detail:
    at_source = laplacian(source)
    at_change = laplacian(picture).sub_(at_source)
    at_grain = grain(at_source)
    return Detail(
        _blocks(at_source.square()),
        _blocks(at_source * at_change),
        _blocks(at_change.square()),
        _blocks(at_source * at_grain),
        _blocks(at_change * at_grain),
        _blocks(at_grain.square()),
        float(at_source.var(correction=0)) * 255.0**2,
    )


def grain(picture: Tensor) -> Tensor:
    """The finest band of `[1, 1, H, W]`: what a binomial low-pass of 3x3 takes away."""
    taps = picture.new_tensor([1.0, 2.0, 1.0])
    kernel = (taps.view(3, 1) * taps / -16.0).view(1, 1, 3, 3)
    kernel[..., 1, 1] += 1.0
    return F.conv2d(F.pad(picture, (1, 1, 1, 1), mode="replicate"), kernel)


def _blocks(values: Tensor) -> Tensor:
    return F.avg_pool2d(values, 4 * COARSE, ceil_mode=True)


def _as_sharp(
    source: Tensor, picture: Tensor, source_gray: Tensor, picture_gray: Tensor, trust: Tensor, detail: Detail
) -> tuple[Tensor, Tensor, float]:
    """Mix so that the variance of the Laplacian does not fall: result, coarse mask, sharpness after.

    Blocks that came out smoother get the input's grain back, as much of it as the frame needs in all; where even all
    of it would not do, detail was lost, and the input itself comes back.
    """
    mask_blocks = _resized(trust, detail.source)
    needed = _needed_grain(mask_blocks, detail)
    lost = smooth(_held(needed, LOST))
    mask_blocks = mask_blocks * (1.0 - lost)
    needed = smooth(_needed_grain(mask_blocks, detail).clamp(0.0, LOST[1]))
    mask = trust * (1.0 - _resized(lost, trust))
    mixed = torch.lerp(source_gray, picture_gray, _enlarged(mask, source))
    fine = grain(source_gray)
    for share in (_needed_share(mask_blocks, needed, detail), 1.0, 1.5):
        added = _enlarged(_resized(needed * share, trust), source) * fine if share else torch.zeros_like(fine)
        after = float(laplacian(mixed + added).var(correction=0)) * 255.0**2
        if after >= detail.sharpness:
            result = torch.lerp(source, picture, _enlarged(mask, source)).add_(added).clamp_(0.0, 1.0)
            return result, mask, after
    return source, torch.zeros_like(trust), detail.sharpness


def _needed_grain(mask: Tensor, detail: Detail) -> Tensor:
    """How much of the input's grain a block needs to keep its Laplacian energy: 0 where it has grown."""
    gain = 2.0 * mask * detail.cross + mask.square() * detail.change
    slope = detail.grain_source + mask * detail.grain_change
    # The positive root of gain + 2 slope g + grain g² = 0.
    root = (slope.square() - detail.grain * gain.clamp(max=0.0)).clamp_min(0.0).sqrt()
    return ((root - slope) / (detail.grain + 1e-12)).clamp(0.0, 4.0)


def _needed_share(mask: Tensor, needed: Tensor, detail: Detail) -> float:
    """The smallest share of the blocks' needs with which the frame as a whole loses nothing, 0 to 1."""
    share = torch.linspace(0.0, 1.0, 41, device=mask.device).view(-1, 1, 1, 1)
    added = needed * share
    gain = 2.0 * mask * detail.cross + mask.square() * detail.change
    gain = gain + 2.0 * added * (detail.grain_source + mask * detail.grain_change) + added.square() * detail.grain
    enough = (gain.sum((1, 2, 3)) >= 0.01 * detail.source.sum()).nonzero()
    return float(share[enough[0, 0]]) if len(enough) else 1.0


def _resized(coarse: Tensor, like: Tensor) -> Tensor:
    """One coarse map at the size of another."""
    return F.interpolate(coarse, size=like.shape[-2:], mode="bilinear", align_corners=False)


def _enlarged(coarse: Tensor, like: Tensor) -> Tensor:
    """A coarse map at the size of a picture."""
    height, width = like.shape[-2:]
    large = F.interpolate(coarse, scale_factor=COARSE, mode="bilinear", align_corners=False)
    return large[..., :height, :width]


def _verdict(
    evidence: dict[str, Tensor],
    mask: Tensor,
    strength: float,
    change: Tensor,
    sharpness: tuple[float, float],
    shift: float,
) -> Verdict:
    """Sum up: shares of the change, and the reason that held most of it."""
    weight = F.avg_pool2d(change.abs(), COARSE, ceil_mode=True) + 1e-6
    weight = weight / weight.sum()
    applied = float((mask * weight).sum())
    held = float((mask < 0.5 * strength).float().mean())
    by_reason = {reason: strength * float((share * weight).sum()) for reason, share in evidence.items()}
    worst = torch.stack(list(evidence.values())).amax(0)
    passed = strength * (1.0 - float((worst * weight).sum()))
    by_reason["it would have been smoother than the input"] = passed - applied
    reason = max(by_reason, key=lambda name: by_reason[name])
    return Verdict(applied, held, *sharpness, shift, reason if strength - applied > 0.1 * strength else "")
