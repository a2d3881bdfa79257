"""Guided deformable attention samples, weighs and differentiates as its definition says."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.ops import deform_attention as module
from selfhvd_cli.ops.deform_attention import deform_attention

HEADS, GROUPS, CHANNELS, HEIGHT, WIDTH = 4, 4, 16, 5, 7


def inputs(spread: float = 1.5, batch: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    query = torch.randn(batch, 2, CHANNELS, HEIGHT, WIDTH)
    keys_values = torch.randn(batch, 2, 2 * CHANNELS, HEIGHT, WIDTH)
    offsets = spread * torch.randn(batch, 2, 2 * GROUPS * 9 * 2, HEIGHT, WIDTH)
    return query, keys_values, offsets


def by_grid_sample(query: Tensor, keys_values: Tensor, offsets: Tensor) -> Tensor:
    """The definition, with every sample stored: slow, and differentiable by itself."""
    batch, clip = query.shape[:2]
    row = torch.arange(HEIGHT).view(1, 1, HEIGHT, 1) + torch.arange(3).repeat_interleave(3).view(1, 9, 1, 1) - 1
    column = torch.arange(WIDTH).view(1, 1, 1, WIDTH) + torch.arange(3).repeat(3).view(1, 9, 1, 1) - 1
    result = []
    for b in range(batch):
        for t in range(clip):
            moves = offsets[b, t].view(clip, GROUPS, 9, 2, HEIGHT, WIDTH)
            samples = []
            for n in range(clip):
                source = keys_values[b, (n + t) % clip].unflatten(0, (GROUPS, -1))
                y, x = row + moves[n, :, :, 0], column + moves[n, :, :, 1]
                grid = torch.stack((2 * x / (WIDTH - 1) - 1, 2 * y / (HEIGHT - 1) - 1), dim=-1).flatten(1, 2)
                sampled = F.grid_sample(source, grid, align_corners=True)
                samples.append(sampled.view(2, HEADS, CHANNELS // HEADS, 9, HEIGHT, WIDTH))
            keys, values = torch.cat(samples, dim=3)
            asked = query[b, t].view(HEADS, CHANNELS // HEADS, 1, HEIGHT, WIDTH) * (CHANNELS // HEADS) ** -0.5
            weight = (asked * keys).sum(1, keepdim=True).softmax(dim=2)
            result.append((weight * values).sum(2).flatten(0, 1))
    return torch.stack(result).view_as(query)


@pytest.mark.parametrize("spread", [0.0, 1.5, 30.0], ids=["centred", "near", "mostly outside"])
def test_samples_as_defined(spread: float) -> None:
    given = inputs(spread)
    assert (deform_attention(*given, HEADS, GROUPS) - by_grid_sample(*given)).abs().max() < 1e-5


def test_pieces_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    given = inputs()
    whole = deform_attention(*given, HEADS, GROUPS)
    monkeypatch.setattr(module, "CACHE_BYTES", 1)
    assert torch.equal(deform_attention(*given, HEADS, GROUPS), whole)


def test_gradients_are_those_of_the_definition() -> None:
    gradients = []
    for function in (lambda *given: deform_attention(*given, HEADS, GROUPS), by_grid_sample):
        given = [tensor.requires_grad_() for tensor in inputs(batch=1)]
        (function(*given) * torch.linspace(-1, 1, WIDTH)).sum().backward()
        gradients.append([tensor.grad for tensor in given])
    for ours, expected in zip(*gradients, strict=True):
        assert (ours - expected).abs().max() < 1e-4
        assert expected.abs().max() > 1e-2


def test_uneven_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="share evenly"):
        deform_attention(*inputs(), heads=3, groups=GROUPS)
