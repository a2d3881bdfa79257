"""Re-blurring: a sharp frame with the shake of another moment of its clip, as a test whose answer is known."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.ops.sharpness import sharpness
from selfhvd_cli.ops.warp import warp
from selfhvd_cli.training.approach import Approach
from selfhvd_cli.training.footage import Shot

GAMMA = 2.2
"""Blur adds light, so it is done in linear light."""

SAMPLES = 33
"""Largest number of positions that one exposure is added up from."""

LONGEST = 3.0
"""Exposure, in frames, at which the search for a blur as strong as the clip's ends."""


def shake_path(before: Tensor, after: Tensor, exposure: float, samples: int) -> Tensor:
    """Displacements `[S, 2, H, W]` over an exposure around a frame, their mean at rest.

    Args:
        before, after: `[2, H, W]`: flow from the frame to its neighbours in time, pixels.
        exposure: in frames.
    """
    times = (torch.arange(samples) + 0.5) / samples - 0.5
    path = torch.stack([abs(time) * (after if time > 0 else before) for time in (times * exposure).tolist()])
    return path - path.mean(dim=0, keepdim=True)


def reblur(picture: Tensor, before: Tensor, after: Tensor, exposure: float) -> Tensor:
    """`[3, H, W]`: the picture, RGB in [0, 1], under the shake that `before` and `after` tell of."""
    length = exposure * 0.5 * float((before.norm(dim=0) + after.norm(dim=0)).mean())
    samples = min(SAMPLES, max(3, 2 * int(length) + 1))
    light = picture.clamp(0, 1).pow(GAMMA).unsqueeze(0)
    total = torch.zeros_like(light)
    for step in shake_path(before, after, exposure, samples):
        total += warp(light, step.unsqueeze(0))
    return (total / samples).clamp(0, 1).pow(1 / GAMMA)[0]


def reblur_as_much(picture: Tensor, before: Tensor, after: Tensor, ratio: float) -> Tensor:
    """The picture re-blurred until its sharpness is `ratio` of what it was, or the longest exposure is reached.

    Args:
        picture: `[3, H, W]`, RGB in [0, 1].
        before, after: `[2, h, w]`: the shake of another moment, flow in pixels of the picture; stretched to its size.
        ratio: S of the clip's blurry frames over S of its sharp ones, in (0, 1].
    """
    size = (picture.shape[-2], picture.shape[-1])
    before, after = (_at_least_one(_stretch(field, size), sign) for field, sign in ((before, -1.0), (after, 1.0)))
    wanted = ratio * float(sharpness(picture.unsqueeze(0)))
    low, high = 0.0, LONGEST
    blurred = picture
    for _ in range(7):
        middle = 0.5 * (low + high)
        blurred = reblur(picture, before, after, middle)
        if float(sharpness(blurred.unsqueeze(0))) > wanted:
            low = middle
        else:
            high = middle
    return blurred


def blurry_moments(shot: Shot) -> list[int]:
    """The frames of a shot whose shake can be borrowed, least blurred last; one at least."""
    inner = [index for index in shot.blurry if 0 < index < len(shot) - 1] or [len(shot) // 2]
    return sorted(inner, key=lambda index: shot.sharp.scores[index])


def reblur_like(crop: Tensor, shot: Shot, frame: int, moment: int, approach: Approach) -> Tensor:
    """A crop of a sharp frame with the shake of another moment, as soft as that moment is beside the frame.

    Args:
        crop: `[3, h, w]`, RGB in [0, 1].
        frame: the sharp frame.
        moment: the blurry one.
    """
    scores = shot.sharp.scores
    before = approach.field(shot, moment, max(moment - 1, 0))
    after = approach.field(shot, moment, min(moment + 1, len(shot) - 1))
    return reblur_as_much(crop, before, after, min(1.0, scores[moment] / max(scores[frame], 1e-9)))


def _stretch(field: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(field.unsqueeze(0), size=size, mode="bilinear", align_corners=False)[0]


def _at_least_one(field: Tensor, sign: float) -> Tensor:
    """A moment at rest would never blur: it gets a sideways sway of a few pixels."""
    moves = float(field.norm(dim=0).mean()) > 1.0
    return field if moves else field + sign * field.new_tensor([4.0, 2.0]).view(2, 1, 1)
