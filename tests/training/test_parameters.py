"""Parts of a network move at their own pace, and from their own step."""

from __future__ import annotations

import torch

from selfhvd_cli.restore.architectures import ARCHITECTURES
from selfhvd_cli.training.parameters import PACES, parameter_groups, set_rates


def test_the_flow_inside_basicvsrpp_follows_slowly_and_late() -> None:
    with torch.device("meta"):
        network = ARCHITECTURES["basicvsrpp"].build()
    groups = parameter_groups(network, "basicvsrpp")
    sizes = [sum(p.numel() for p in group["params"]) for group in groups]  # type: ignore[attr-defined]
    assert sum(sizes) == sum(parameter.numel() for parameter in network.parameters())
    assert sizes[0] == sum(parameter.numel() for parameter in network.spynet.parameters())
    optimizer = torch.optim.Adam(groups)
    set_rates(optimizer, 1e-4, 0.05)
    assert [group["lr"] for group in optimizer.param_groups] == [0.0, 1e-4]
    set_rates(optimizer, 1e-4, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.25e-4, 1e-4]


def test_every_prefix_names_parameters() -> None:
    for model, paces in PACES.items():
        with torch.device("meta"):
            network = ARCHITECTURES[model].build()
        names = [name for name, _ in network.named_parameters()]
        assert all(any(name.startswith(pace.prefix) for name in names) for pace in paces)
        groups = parameter_groups(network, model)
        assert len(groups) == 1 + sum(pace.share > 0 for pace in paces)
        assert groups[-1]["share"] == 1.0


def test_what_has_no_share_of_the_rate_takes_no_gradient() -> None:
    with torch.device("meta"):
        network = ARCHITECTURES["lite"].build()
    groups = parameter_groups(network, "lite")
    moving = {id(p) for group in groups for p in group["params"]}  # type: ignore[attr-defined]
    for name, parameter in network.named_parameters():
        frozen = name.startswith(("flow_", "encoder."))
        assert parameter.requires_grad == (id(parameter) in moving) == (not frozen)
