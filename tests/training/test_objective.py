"""The objective leaves sharp frames as the base network makes them, and learns nothing at the borders of crops."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training_stand_ins import SearchEstimator, tiny_trainer

from selfhvd_cli.restore.restorer import Convention, Restorer
from selfhvd_cli.training.batches import Batch
from selfhvd_cli.training.config import AdaptConfig
from selfhvd_cli.training.masks import inside_crop
from selfhvd_cli.training.objective import Objective
from selfhvd_cli.training.pairs import AlignedLabels, align_labels

SHARE = 0.9


class Darker(nn.Module):
    """Takes a share of every value."""

    def __init__(self) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.tensor(SHARE))

    def forward(self, frames: Tensor) -> Tensor:
        return self.share * frames


def darker() -> Restorer:
    return Restorer(Darker(), Convention())


def sharp_only(batch: Batch) -> Batch:
    """The batch with no target taught but the sharp ones."""
    assert batch.own.any()
    return replace(batch, taught=batch.taught & batch.own)


def test_a_sharp_frame_is_to_stay_what_the_base_network_makes_of_it() -> None:
    trainer = tiny_trainer()
    batch = sharp_only(trainer.batches.draw(0))
    compute = trainer.objective.compute
    losses = {}
    for name, base in (("recorded", None), ("base", darker())):
        objective = Objective(SearchEstimator(), None, AdaptConfig(), compute, True, base)
        restorer = darker().requires_grad_(True)
        losses[name] = float(objective.backward_stage_one(restorer, batch)["rec"])
        gradient = restorer.network.share.grad
        assert gradient is not None
        assert (float(gradient.abs()) > 0) == (name == "recorded")
    assert losses["base"] == 0 < losses["recorded"]


def test_a_reblurred_frame_is_to_become_what_it_was_before(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = tiny_trainer(reblurred=1.0, sharp_share=1.0)
    batch = trainer.batches.draw(0)
    assert batch.reblurred.sum(dim=1).tolist() == [1, 1]
    seen: list[Tensor] = []

    def aligned(output: Tensor, inputs: Tensor, labels: Tensor, own: Tensor, *rest: Any) -> AlignedLabels:
        seen.append(labels)
        return align_labels(output, inputs, labels, own, *rest)

    monkeypatch.setattr("selfhvd_cli.training.objective.align_labels", aligned)
    objective = Objective(SearchEstimator(), None, AdaptConfig(), trainer.objective.compute, True, darker())
    objective.backward_stage_one(darker().requires_grad_(True), batch)
    labels = seen[0].unflatten(0, batch.own.shape)
    assert torch.equal(labels[batch.reblurred], batch.labels[batch.reblurred])
    others = batch.own & ~batch.reblurred
    assert torch.allclose(labels[others], SHARE * batch.targets[others])


def test_the_border_of_a_crop_does_not_count() -> None:
    inner = inside_crop(torch.ones(2, 1, 96, 192))
    assert inner[..., :8, :].sum() == inner[..., :, -16:].sum() == 0
    assert inner[..., 8:-8, 16:-16].min() == 1
