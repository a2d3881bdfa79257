"""What SEA-RAFT knows about its own error: from the mixture of Laplace distributions to an uncertainty map."""

from __future__ import annotations

import torch
from torch import Tensor

LARGEST_LOG_SCALE = 10.0
"""Upper bound of the free component's log scale in training (`var_max`)."""


def mean_log_scale(info: Tensor) -> Tensor:
    """U, the expected log scale of the flow's error, as the official code draws it: 0 is certain.

    SEA-RAFT is trained on the likelihood of a mixture of two Laplace distributions per pixel (its section 3.1):
    one of fixed scale 1 px, whose log scale is 0, for ordinary pixels, and one of scale exp(b) with b in [0, 10]
    for ambiguous ones. With the mixture weights softmax(w0, w1),

        U = softmax(w)_0 clamp(b0, 0, 10) + softmax(w)_1 0        (natural logarithm, pixels)

    so that exp(-U) is the reciprocal of the scale's geometric mean: 1 where the ordinary component explains the
    pixel, 1/e where the expected scale is e px.

    Args:
        info: `[B, 4, H, W]`: w0, w1, b0, b1 as the network gives them (b1 is clamped to 0 and so unused).

    Returns:
        `[B, 1, H, W]`, in [0, 10].
    """
    info = info.float()
    share = torch.softmax(info[:, :2], dim=1)[:, :1]
    return share * info[:, 2:3].clamp(0.0, LARGEST_LOG_SCALE)
