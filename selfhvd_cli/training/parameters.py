"""Which parameters of a network move, how fast and from when: differences between networks, as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Pace:
    """How a part of a network is trained."""

    prefix: str
    """Its parameters' keys begin with this."""

    share: float
    """Of the learning rate; 0 leaves it as it is, and no gradient is computed for it."""

    frozen_share: float = 0.0
    """Of the steps, during which it stays as it is."""


PACES: Mapping[str, tuple[Pace, ...]] = {
    # The authors' configuration: a quarter of the rate, and frozen for the first 5 000 iterations.
    "basicvsrpp": (Pace("spynet.", 0.25, 0.1),),
    "rvrt": (Pace("spynet.", 0.25, 0.1),),
    # Its flow was trained with exact truth, which no clip has; fresh, what reads it would only disturb it. At a
    # quarter of the rate it gained nothing on synthetic clips, and a step took half as long again.
    "lite": (Pace("flow_", 0.0), Pace("encoder.", 0.0)),
}
"""Network → parts that do not move at the common pace; everything else does."""


def parameter_groups(network: nn.Module, model: str) -> list[dict[str, object]]:
    """Adam's groups: the parameters, their share of the rate, and how long they stay frozen.

    Parameters with no share of the rate are in no group, and are told to take no gradient.

    Args:
        model: a name of `ARCHITECTURES`.
    """
    paces = PACES.get(model, ())
    groups: list[dict[str, object]] = []
    taken: set[str] = set()
    for pace in (*paces, Pace("", 1.0)):
        names = [name for name, _ in _trainable(network) if name.startswith(pace.prefix) and name not in taken]
        taken.update(names)
        found = dict(network.named_parameters())
        if pace.share == 0:
            for name in names:
                found[name].requires_grad_(False)
        elif names:
            groups.append(
                {"params": [found[name] for name in names], "share": pace.share, "frozen_share": pace.frozen_share}
            )
    return groups


def set_rates(optimizer: torch.optim.Optimizer, rate: float, progress: float) -> None:
    """Give every group its rate; `progress` is the share of the steps that are done."""
    for group in optimizer.param_groups:
        group["lr"] = 0.0 if progress < group["frozen_share"] else rate * group["share"]


def _trainable(network: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    for name, parameter in network.named_parameters():
        if parameter.is_floating_point():
            yield name, parameter
