"""Sampling along a flow, where the flow is no number."""

from __future__ import annotations

from typing import Literal

import pytest
import torch

from selfhvd_cli.ops.warp import warp


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e38])
@pytest.mark.parametrize("padding", ["border", "zeros"])
def test_a_flow_that_is_no_number_has_a_way_back(padding: Literal["border", "zeros"], value: float) -> None:
    """torch's own ends the whole process for some of them: a training must live to say what happened."""
    image = torch.rand(1, 3, 64, 64, requires_grad=True)
    flow = torch.zeros(1, 2, 64, 64)
    flow[0, 0, 5, 5] = value
    warp(image, flow.requires_grad_(), padding=padding).nansum().backward()
    assert image.grad is not None
    assert bool(torch.isfinite(image.grad).all())


def test_sampling_does_not_depend_on_whether_it_is_learned_from() -> None:
    image, flow = torch.rand(1, 3, 32, 40), torch.randn(1, 2, 32, 40)
    flow[0, :, 3, 4] = torch.nan
    with torch.no_grad():
        plain = warp(image, flow)
    assert torch.equal(plain, warp(image, flow.requires_grad_()).detach())
