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
    """Of the learning rate."""

    frozen_share: float
    """Of the steps, during which it stays as it is."""


PACES: Mapping[str, tuple[Pace, ...]] = {
    # The authors' configuration: a quarter of the rate, and frozen for the first 5 000 iterations.
    "basicvsrpp": (Pace("spynet.", 0.25, 0.1),),
    "rvrt": (Pace("spynet.", 0.25, 0.1),),
    # Its flow was trained with exact truth, which no clip has: it follows slowly, or errors of alignment bend it.
    "lite": (Pace("flow_", 0.25, 0.1), Pace("encoder.", 0.25, 0.1)),
}
"""Network → parts that do not move at the common pace; everything else does."""


FROM_SCRATCH: Mapping[str, tuple[Pace, ...]] = {
    # Its flow comes trained, while what reads it is still fresh and would only disturb it.
    "lite": (Pace("flow_", 0.0, 1.0), Pace("encoder.", 0.0, 1.0)),
}
"""The same for networks whose other parameters are fresh."""


def parameter_groups(network: nn.Module, model: str, scratch: bool) -> list[dict[str, object]]:
    """Adam's groups: the parameters, their share of the rate, and how long they stay frozen.

    Args:
        model: a name of `ARCHITECTURES`.
        scratch: whether the parameters are fresh.
    """
    paces = (FROM_SCRATCH if scratch else PACES).get(model, ())
    groups: list[dict[str, object]] = []
    taken: set[str] = set()
    for pace in (*paces, Pace("", 1.0, 0.0)):
        names = [name for name, _ in _trainable(network) if name.startswith(pace.prefix) and name not in taken]
        taken.update(names)
        if names:
            found = dict(network.named_parameters())
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
