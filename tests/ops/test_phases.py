"""Phases hold the values of `pixel_unshuffle`, and warping with a small flow is warping with the enlarged one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from selfhvd_cli.ops.phases import from_channels, join, split, to_channels
from selfhvd_cli.ops.warp import coordinates, warp, warp_phases


def test_phases_are_those_of_pixel_unshuffle_and_lead_back() -> None:
    picture = torch.rand(2, 3, 16, 24)
    phases = split(picture, 4)
    assert torch.equal(to_channels(phases), F.pixel_unshuffle(picture, 4))
    assert to_channels(phases).is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(from_channels(to_channels(phases), 16), phases)
    assert torch.equal(join(phases, 4), picture)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_small_flow_warps_as_the_enlarged_one(count: int) -> None:
    picture = torch.rand(count, 3, 240, 320)
    flow = 5 * torch.randn(count, 2, 60, 80)
    enlarged = 4 * F.interpolate(flow, scale_factor=4, mode="bilinear", align_corners=False)
    assert torch.allclose(join(warp_phases(picture, flow, 4), 4), warp(picture, enlarged), atol=2e-3)


@pytest.mark.parametrize("padding", ["border", "zeros"])
def test_pictures_sampled_in_strips_are_the_same(padding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = torch.rand(3, 2, 240, 320)
    flow = 20 * torch.randn(3, 2, 240, 320)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    in_strips = warp(picture, flow, padding)  # type: ignore[arg-type]
    grid = (coordinates(240, 320, flow) + flow).permute(0, 2, 3, 1) * torch.tensor([2 / 319, 2 / 239]) - 1
    whole = F.grid_sample(picture, grid, padding_mode=padding, align_corners=True)
    assert torch.allclose(in_strips, whole, atol=1e-4)
