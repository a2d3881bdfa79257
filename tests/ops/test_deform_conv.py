"""Deformable convolution: taps go where the offsets say, in both ways of computing it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.ops import deform_conv
from selfhvd_cli.ops.deform_conv import by_rows, by_sampling, deform_conv2d


def operands(groups: int = 2, height: int = 9, width: int = 11) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    return {
        "images": draw(2, 8, height, width),
        "offset": 3 * draw(2, groups * 18, height, width),
        "mask": draw(2, groups * 9, height, width).sigmoid(),
        "weight": draw(6, 8, 3, 3),
        "bias": draw(6),
    }


def test_unmoved_taps_are_a_convolution() -> None:
    x = operands()
    x["offset"], x["mask"] = torch.zeros_like(x["offset"]), torch.ones_like(x["mask"])
    expected = F.conv2d(x["images"], x["weight"], x["bias"], padding=1)
    torch.testing.assert_close(deform_conv2d(**x), expected, rtol=1e-4, atol=1e-4)


def test_whole_offsets_read_the_shifted_image() -> None:
    x = operands(groups=1)
    x["mask"] = torch.ones_like(x["mask"])
    dy, dx = 2.0, -3.0
    x["offset"] = torch.tensor([dy, dx]).repeat(9).view(1, 18, 1, 1).expand_as(x["offset"])
    shifted = F.pad(x["images"], (3, -3, -2, 2))
    result = deform_conv2d(**x)[..., 3:-3, 4:-4]
    expected = F.conv2d(shifted, x["weight"], x["bias"], padding=1)[..., 3:-3, 4:-4]
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_sampling_agrees_with_torchvision(groups: int) -> None:
    operators = pytest.importorskip("torchvision.ops")
    x = {name: value.double().requires_grad_() for name, value in operands(groups).items()}
    ours = by_sampling(**x)
    theirs = operators.deform_conv2d(x["images"], x["offset"], x["weight"], x["bias"], padding=1, mask=x["mask"])
    torch.testing.assert_close(ours, theirs)
    cotangent = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for mine, official in zip(
        torch.autograd.grad(ours, tuple(x.values()), cotangent),
        torch.autograd.grad(theirs, tuple(x.values()), cotangent),
        strict=True,
    ):
        torch.testing.assert_close(mine, official)


@pytest.mark.parametrize("groups", [1, 2, 8])
@pytest.mark.parametrize("spread", [0.0, 1.0, 30.0], ids=["centred", "near", "mostly outside"])
def test_rows_agree_with_sampling(groups: int, spread: float, monkeypatch: pytest.MonkeyPatch) -> None:
    x = operands(groups)
    x["offset"] = spread * x["offset"]
    whole = by_rows(**x)
    torch.testing.assert_close(whole, by_sampling(**x), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(by_rows(**{**x, "bias": None}), whole - x["bias"].view(1, -1, 1, 1))
    monkeypatch.setattr(deform_conv, "CACHE_BYTES", 1)
    torch.testing.assert_close(by_rows(**x), whole, rtol=1e-5, atol=1e-5)


def test_positions_stay_exact_under_autocast() -> None:
    x = operands()
    expected = deform_conv2d(**x)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(deform_conv2d(**x), expected)
    half = deform_conv2d(**{**x, "images": x["images"].bfloat16()})
    assert half.dtype == torch.bfloat16
