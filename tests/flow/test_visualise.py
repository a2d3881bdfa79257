"""Flow pictures tell direction by hue and length by saturation; overlays tint what is not trusted."""

from __future__ import annotations

import torch

from selfhvd_cli.flow.visualise import color_wheel, flow_picture, mask_overlay


def one_flow(dx: float, dy: float) -> torch.Tensor:
    return torch.tensor([dx, dy]).view(2, 1, 1).expand(2, 4, 5)


def test_no_motion_is_white_and_full_motion_is_pure() -> None:
    assert torch.equal(flow_picture(one_flow(0, 0), largest=5.0), torch.ones(3, 4, 5))
    pure = flow_picture(one_flow(5, 0), largest=5.0)[:, 0, 0]
    assert pure.min() < 0.05
    half = flow_picture(one_flow(2.5, 0), largest=5.0)[:, 0, 0]
    assert torch.allclose(half, (1 + pure) / 2)


def test_directions_have_their_middlebury_hues() -> None:
    right, down, left, up = (
        flow_picture(one_flow(*way), largest=1.0)[:, 0, 0] for way in ((1, 0), (0, 1), (-1, 0), (0, -1))
    )
    assert right[0] > 0.95
    assert right[1:].max() < 0.1
    assert down[:2].min() > 0.8
    assert down[2] < 0.1
    assert left[1:].min() > 0.7
    assert left[0] < 0.1
    assert up[2] > 0.9
    assert up[1] < 0.2


def test_values_stay_in_range_and_neighbours_alike() -> None:
    angle = torch.linspace(-3.2, 3.2, 400)
    ring = torch.stack((angle.cos(), angle.sin())).unsqueeze(1)
    picture = flow_picture(3 * ring, largest=1.0)
    assert picture.min() >= 0
    assert picture.max() <= 1
    picture = flow_picture(ring)
    assert (picture[..., 1:] - picture[..., :-1]).abs().max() < 0.1
    assert color_wheel().shape == (55, 3)


def test_overlay_leaves_the_trusted_alone() -> None:
    frame = torch.full((3, 2, 2), 0.5)
    mask = torch.tensor([[[1.0, 0.0], [0.5, 1.0]]])
    shown = mask_overlay(frame, mask, color=(1.0, 0.0, 0.0), opacity=0.6)
    assert torch.equal(shown[:, 0, 0], frame[:, 0, 0])
    assert torch.allclose(shown[:, 0, 1], torch.tensor([0.8, 0.2, 0.2]))
    assert torch.allclose(shown[:, 1, 0], torch.tensor([0.65, 0.35, 0.35]))
