"""SCSCM's earlier network is renewed only by one that is aligned and sharper, and only so often."""

from __future__ import annotations

import torch
from training_stand_ins import tiny_restorer

from selfhvd_cli.device import Compute
from selfhvd_cli.training.config import AdaptConfig
from selfhvd_cli.training.consistency import History, consistency_loss
from selfhvd_cli.training.probes import Look

CONFIG = AdaptConfig(refreshes=2)
COMPUTE = Compute(torch.device("cpu"), torch.float32, "test")


def test_it_keeps_its_output_while_the_network_learns() -> None:
    restorer = tiny_restorer()
    history = History(restorer, Look(10.0, 0.0))
    frames, keep = torch.rand(1, 3, 3, 16, 16), (slice(0, 3),)
    before = history.output(frames, keep, COMPUTE)
    with torch.no_grad():
        restorer.network.last.bias += 0.25
    assert torch.equal(history.output(frames, keep, COMPUTE), before)
    moved = restorer(frames)
    assert consistency_loss(moved[0], before[0]).tolist() == torch.full((3,), 0.25).tolist()


def test_it_is_renewed_under_both_conditions_and_twice_at_most() -> None:
    restorer = tiny_restorer()
    history = History(restorer, Look(10.0, 0.0))
    assert not history.consider(restorer, Look(9.0, 0.0), CONFIG)
    assert not history.consider(restorer, Look(12.0, 0.9), CONFIG)
    assert not history.consider(restorer, Look(float("nan"), float("nan")), CONFIG)
    with torch.no_grad():
        restorer.network.last.bias += 0.25
    assert history.consider(restorer, Look(12.0, 0.1), CONFIG)
    assert torch.equal(history.restorer.network.last.bias, restorer.network.last.bias)
    assert not history.consider(restorer, Look(11.0, 0.1), CONFIG)
    assert history.consider(restorer, Look(13.0, 0.1), CONFIG)
    assert not history.consider(restorer, Look(14.0, 0.1), CONFIG)


def test_a_resumed_history_is_the_same() -> None:
    restorer = tiny_restorer()
    history = History(restorer, Look(10.0, 0.0))
    with torch.no_grad():
        restorer.network.last.bias += 0.25
    again = History.resume(restorer, history.state())
    assert again.restorer.network.last.bias.abs().max() == 0
    assert again.sharpness == 10.0
