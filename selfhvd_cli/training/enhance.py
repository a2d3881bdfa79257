"""SEVD, self-enhanced video deblurring: learn from less than the clip what the whole clip shows (Eqs. 7 and 8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from selfhvd_cli.ops.detail import detail
from selfhvd_cli.training.config import AdaptConfig
from selfhvd_cli.training.pairs import AlignedLabels


def remove_sharp_clues(is_sharp: Sequence[bool], rng: np.random.Generator) -> list[int]:
    """RSCR: which frame stands at each place of V⁻.

    A random number of the sharp frames, at least one, gives way to the blurry frame closest in time. Without a sharp
    or without a blurry frame nothing changes.

    Args:
        is_sharp: one a frame.
    """
    places = list(range(len(is_sharp)))
    sharp = [place for place in places if is_sharp[place]]
    blurry = [place for place in places if not is_sharp[place]]
    if sharp and blurry:
        count = int(rng.integers(1, len(sharp) + 1))
        for place in rng.choice(sharp, count, replace=False).tolist():
            places[place] = min(blurry, key=lambda other: abs(other - place))
    return places


@dataclass(frozen=True)
class Supervision:
    """What the outputs of V⁻ are compared with."""

    pictures: Tensor
    """`[N, 3, H, W]`: the aligned label, or the output for the whole clip."""

    mask: Tensor
    """`[N, 1, H, W]`: the label's masks; 1 for an output, which is aligned by construction."""

    from_label: Tensor
    """`[N]`, bool: c_i."""


@torch.no_grad()
def choose_supervision(
    aligned: AlignedLabels, restored: Tensor, usable: Tensor, own: Tensor, config: AdaptConfig
) -> Supervision:
    """SIS, Eq. 8: c_i = [P_i > τ] and [S(A_i) > S(D(V)_i)]; the label where c_i, else the output for the whole clip.

    Without SIS the label always. S is measured at half the size, see `detail`.

    Args:
        restored: `[N, 3, H, W]`: sg(D(V)).
        usable: `[N]`, bool: False where the label may not be used at all.
        own: `[N]`, bool: the label is the frame itself, exact to the pixel: nothing to be gained from the output.
    """
    if config.sis:
        better = aligned.sharpness > detail(restored)
        chosen = (aligned.unmasked > config.distortion) & (better | own) & usable
    else:
        chosen = torch.ones_like(usable)
    choice = chosen.view(-1, 1, 1, 1)
    return Supervision(
        torch.where(choice, aligned.pictures, restored.clamp(0, 1)),
        torch.where(choice, aligned.mask, torch.ones_like(aligned.mask)),
        chosen,
    )
