"""Whether a clip's sharp frames are good enough to teach the network that is to be adapted."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import torch

from selfhvd_cli.device import Compute
from selfhvd_cli.ops.detail import detail
from selfhvd_cli.restore.restorer import Restorer
from selfhvd_cli.training.footage import Shot
from selfhvd_cli.training.probes import cut, restore_probe, spread

LOOKED_AT = 6
"""Sharp frames that are tried."""

MARGIN = 1.25
"""How many times as sharp as a sharp frame its output may be; beyond it, what the network removed was blur."""


def base_gain(restorer: Restorer, shots: Sequence[Shot], compute: Compute, length: int) -> float:
    """How many times as sharp the base network makes the clip's own sharp frames: the median over some of them.

    Args:
        length: frames of a sequence.
    """
    frames = [(number, frame) for number, shot in enumerate(shots) for frame in shot.teachers]
    found = []
    for number, frame in spread(frames, LOOKED_AT):
        probe = cut(shots[number], frame, length, "")
        before, after = detail(torch.stack((probe.input, restore_probe(restorer, probe, compute)))).tolist()
        found.append(after / max(before, 1e-9))
    return statistics.median(found)
