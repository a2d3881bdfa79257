"""Parts of a network move at their own pace, and from their own step."""

from __future__ import annotations

import torch

from selfhvd_cli.restore.architectures import ARCHITECTURES
from selfhvd_cli.training.parameters import FROM_SCRATCH, PACES, parameter_groups, set_rates


def test_the_flow_inside_basicvsrpp_follows_slowly_and_late() -> None:
    with torch.device("meta"):
        network = ARCHITECTURES["basicvsrpp"].build()
    groups = parameter_groups(network, "basicvsrpp", scratch=False)
    sizes = [sum(p.numel() for p in group["params"]) for group in groups]  # type: ignore[attr-defined]
    assert sum(sizes) == sum(parameter.numel() for parameter in network.parameters())
    assert sizes[0] == sum(parameter.numel() for parameter in network.spynet.parameters())
    optimizer = torch.optim.Adam(groups)
    set_rates(optimizer, 1e-4, 0.05)
    assert [group["lr"] for group in optimizer.param_groups] == [0.0, 1e-4]
    set_rates(optimizer, 1e-4, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.25e-4, 1e-4]


def test_every_prefix_names_parameters_and_fresh_ones_all_move() -> None:
    for model, paces in (*PACES.items(), *FROM_SCRATCH.items()):
        with torch.device("meta"):
            network = ARCHITECTURES[model].build()
        names = [name for name, _ in network.named_parameters()]
        assert all(any(name.startswith(pace.prefix) for name in names) for pace in paces)
        groups = parameter_groups(network, model, scratch=True)
        assert len(groups) == 1 + len(FROM_SCRATCH.get(model, ()))
        assert groups[-1]["share"] == 1.0
