"""The network's outputs for the targets of a batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from selfhvd_cli.device import Compute
from selfhvd_cli.restore.restorer import Restorer


def restore_targets(restorer: Restorer, frames: Tensor, keep: Sequence[slice], compute: Compute) -> Tensor:
    """D(V) at the targets: `[B, K, 3, h, w]`, float32, unclamped.

    Args:
        frames: `[B, T, 3, h, w]`.
        keep: the K targets of each sequence.
    """
    with compute.autocast():
        if all(one == keep[0] for one in keep):
            outputs: Tensor = restorer(frames, keep[0])
        else:
            outputs = torch.cat([restorer(frames[i : i + 1], one) for i, one in enumerate(keep)])
    return outputs.float()
