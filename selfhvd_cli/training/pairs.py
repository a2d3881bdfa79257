"""Aligned supervision: the nearest sharp frame, warped onto the network's current output (Eqs. 2 and 3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.flow.estimator import Flow, FlowEstimator
from selfhvd_cli.ops.detail import detail
from selfhvd_cli.ops.warp import warp
from selfhvd_cli.training.config import AdaptConfig
from selfhvd_cli.training.masks import label_masks

NEAR = 0.04
"""Mean difference of the coarse pictures up to which an output is one of the input: a fresh network's is not."""

UNMASKED = 0.5
"""Weight from which a pixel of M_o counts as unmasked, for the share P of Eq. 8."""


@dataclass(frozen=True)
class AlignedLabels:
    """N labels, each aligned with its target."""

    pictures: Tensor
    """`[N, 3, H, W]`: A_i."""

    mask: Tensor
    """`[N, 1, H, W]`: M_u ⊙ M_o, as far as they are switched on."""

    unmasked: Tensor
    """`[N]`: P_i, the share of unmasked pixels of M_o."""

    sharpness: Tensor
    """`[N]`: S(A_i), as `detail` measures it."""


@torch.no_grad()
def align_labels(
    output: Tensor, inputs: Tensor, labels: Tensor, own: Tensor, estimator: FlowEstimator, config: AdaptConfig
) -> AlignedLabels:
    """A_i = W(I_ψ(i), F_{i→ψ(i)}) of Eq. 3, with F found from the current output to the sharp frame.

    Two things differ from the paper. Bicubic sampling, for bilinear sampling halfway between pixels would take from
    the label the very detail it is to teach. And where the output is not yet a picture of the input (a network from
    scratch, in its first steps), the flow starts from the input.

    Args:
        output: `[N, 3, H, W]`: the network's.
        inputs: `[N, 3, H, W]`: the blurry frames.
        labels: `[N, 3, H, W]`: the sharp frames.
        own: `[N]`, bool: the label is the input itself: nothing to align, nothing to mask.
    """
    pictures, mask = labels.clone(), torch.ones_like(labels[:, :1])
    unmasked = torch.ones_like(labels[:, 0, 0, 0])
    others = torch.nonzero(~own).flatten()
    if len(others):
        output, inputs, labels = output[others], inputs[others], labels[others]
        anchor = torch.where(_is_near(output, inputs), output.float().clamp(0, 1), inputs)
        found = estimator(torch.cat((anchor, labels)), torch.cat((labels, anchor)))
        count = len(labels)
        there = Flow(found.vectors[:count], found.confidence[:count])
        back = Flow(found.vectors[count:], found.confidence[count:])
        mask[others], occlusion = label_masks(there, back, config.masks, config.occlusion_strength)
        pictures[others] = warp(labels, there.vectors, mode="bicubic").clamp(0, 1)
        unmasked[others] = (occlusion > UNMASKED).float().mean(dim=(1, 2, 3))
    return AlignedLabels(pictures, mask, unmasked, detail(pictures))


@torch.no_grad()
def teaches(
    aligned: AlignedLabels, output: Tensor, inputs: Tensor, own: Tensor, trusted: bool, config: AdaptConfig
) -> Tensor:
    """`[N]`, bool: the label is clearly sharper than the input, or is the input.

    The paper takes every label in stage 1, which suits a network from scratch. One that restores already may be
    better than the clip's sharp frames (`trust.py`): measured, such labels made its output softer from the first
    steps on (20 steps: -0.2 dB). Then a label must also be sharper than the current output.

    Args:
        own: `[N]`, bool: the label is the input.
        trusted: whether the clip's sharp frames are sharper than what the base network makes of them.
    """
    clear = own | (aligned.sharpness > config.clearly_sharper * detail(inputs))
    if trusted:
        return clear
    return clear & (aligned.sharpness > detail(output))


def _is_near(output: Tensor, inputs: Tensor) -> Tensor:
    """`[N, 1, 1, 1]`, bool: the coarse pictures agree, and no value is out of the way."""
    size = max(1, min(output.shape[-2:]) // 8)
    difference = F.avg_pool2d(output.float(), size) - F.avg_pool2d(inputs, size)
    near = difference.abs().mean(dim=(1, 2, 3), keepdim=True) < NEAR
    detail = (output.float() - inputs).abs().mean(dim=(1, 2, 3), keepdim=True) < 2 * NEAR
    return near & detail
