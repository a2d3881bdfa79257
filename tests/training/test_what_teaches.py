"""What teaches, and how much: losses, masks, V⁻, border, seed, rate and clipping reach the parameters."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from test_objective import Darker, darker, sharp_only
from test_trainer import run, same
from torch import Tensor
from training_stand_ins import SearchEstimator, tiny_trainer

from selfhvd_cli.flow.estimator import Flow
from selfhvd_cli.restore.restorer import Convention, Restorer
from selfhvd_cli.training.batches import Batch
from selfhvd_cli.training.config import AdaptConfig
from selfhvd_cli.training.consistency import History
from selfhvd_cli.training.objective import Objective
from selfhvd_cli.training.perceptual import Perceptual
from selfhvd_cli.training.probes import Look


class Sure(SearchEstimator):
    """Is as sure of every place as it is told."""

    def __init__(self, sure: float) -> None:
        super().__init__()
        self.sure = sure

    def __call__(self, source: Tensor, target: Tensor) -> Flow:
        flow = super().__call__(source, target)
        return Flow(flow.vectors, torch.full_like(flow.confidence, self.sure))


class SureOfBrightPlaces(SearchEstimator):
    """Knows where it is bright how everything moves, and doubts the rest."""

    def __call__(self, source: Tensor, target: Tensor) -> Flow:
        return Flow(super().__call__(source, target).vectors, source[:, :1].clamp(0.1, 1.0))


def features(pictures: Tensor) -> Tensor:
    return 3.0 * pictures.square()


def gradient(
    config: AdaptConfig,
    batch: Batch | None = None,
    *,
    stage: int = 1,
    perceptual: Perceptual | None = None,
    estimator: SearchEstimator | None = None,
    history: History | None = None,
) -> float:
    """Of the single parameter of a network that darkens."""
    return learned(config, batch, stage, perceptual, estimator, history)[0]


def learned(
    config: AdaptConfig,
    batch: Batch | None,
    stage: int,
    perceptual: Perceptual | None = None,
    estimator: SearchEstimator | None = None,
    history: History | None = None,
) -> tuple[float, dict[str, Tensor]]:
    """The gradient, and the losses by name."""
    trainer = tiny_trainer()
    objective = Objective(estimator or SearchEstimator(), perceptual, config, trainer.objective.compute, True, None)
    restorer = darker()
    batch = batch or trainer.batches.draw(0)
    if stage == 1:
        losses = objective.backward_stage_one(restorer, batch)
    else:
        losses = objective.backward_stage_two(restorer, batch, history)
    share = restorer.network.share
    assert isinstance(share, Tensor)
    return (0.0 if share.grad is None else float(share.grad)), losses


@pytest.mark.parametrize("stage", [1, 2])
def test_the_perceptual_loss_counts_by_its_weight(stage: int) -> None:
    none, one, two = (
        gradient(AdaptConfig(perceptual_weight=weight), stage=stage, perceptual=features)
        for weight in (0.0, AdaptConfig().perceptual_weight, 2 * AdaptConfig().perceptual_weight)
    )
    assert one != none
    assert two - none == pytest.approx(2 * (one - none), rel=1e-3)


def test_consistency_counts_by_its_weight() -> None:
    earlier = Restorer(Darker().requires_grad_(False), Convention())
    assert isinstance(earlier.network.share, Tensor)
    earlier.network.share.fill_(0.5)
    history = History(earlier, Look(1.0, 0.0))
    none = gradient(AdaptConfig(), stage=2)
    one, three = (gradient(AdaptConfig(consistency_weight=weight), stage=2, history=history) for weight in (1.0, 3.0))
    assert one != none
    assert three - none == pytest.approx(3 * (one - none), rel=1e-3)


def test_what_the_flow_doubts_does_not_teach() -> None:
    batch = tiny_trainer().batches.draw(0)
    batch = replace(batch, taught=batch.taught & ~batch.own)
    sure = gradient(AdaptConfig(), batch, estimator=Sure(1.0))
    assert sure != 0
    assert gradient(AdaptConfig(), batch, estimator=Sure(1e-9)) == pytest.approx(0, abs=1e-6)
    assert gradient(AdaptConfig(masks="occlusion"), batch, estimator=Sure(1e-9)) == sure


def test_the_border_of_a_label_does_not_teach() -> None:
    batch = sharp_only(tiny_trainer().batches.draw(0))
    spoilt = batch.labels.clone()
    spoilt[..., :3] = 1 - spoilt[..., :3]
    assert gradient(AdaptConfig(), batch) == gradient(AdaptConfig(), replace(batch, labels=spoilt))


@pytest.mark.parametrize("stage", [1, 2])
def test_withheld_frames_do_not_teach(stage: int) -> None:
    batch = tiny_trainer().batches.draw(0)
    assert gradient(AdaptConfig(), batch, stage=stage) != 0
    assert gradient(AdaptConfig(), replace(batch, taught=torch.zeros_like(batch.taught)), stage=stage) == 0


def test_labels_no_sharper_than_the_frame_do_not_teach() -> None:
    batch = tiny_trainer().batches.draw(0)
    nothing, everything = torch.zeros_like(batch.own), torch.ones_like(batch.taught)
    change, losses = learned(AdaptConfig(), replace(batch, labels=batch.targets, own=nothing, taught=everything), 1)
    assert change == 0
    assert losses["taught"] == 0


def test_in_place_of_a_sharp_frame_the_one_that_stands_there_is_taught() -> None:
    """RSCR (Eq. 7): V⁻ has another frame at a sharp one's place, and that frame's supervision goes with it."""
    batch = tiny_trainer().batches.draw(0)
    rows, count = batch.reduced.shape
    assert batch.keep == (slice(0, count),) * rows
    another = torch.full((count,), 1)
    alone = replace(
        batch,
        frames=batch.frames[:, another],
        labels=batch.labels[:, another],
        own=batch.own[:, another],
        taught=batch.taught[:, another],
    )
    config, doubts = AdaptConfig(sis=False, masks="uncertainty"), SureOfBrightPlaces()
    change, losses = learned(config, replace(batch, reduced=torch.full_like(batch.reduced, 1)), 2, None, doubts)
    expected, expected_losses = learned(replace(config, rscr=False), alone, 2, None, doubts)
    assert change == pytest.approx(expected, rel=1e-4)
    assert float(losses["sevd"]) == pytest.approx(float(expected_losses["sevd"]), rel=1e-4)
    whole = gradient(replace(config, rscr=False), batch, stage=2, estimator=doubts)
    assert change != pytest.approx(whole, rel=1e-3)


def test_what_is_known_of_no_target_teaches_none() -> None:
    """Of a network that selects frames, V⁻ may show one at a target's place that was no target in V."""
    batch = tiny_trainer().batches.draw(0)
    rows = len(batch.keep)
    middle = slice(1, 3)
    few = replace(
        batch,
        keep=(middle,) * rows,
        labels=batch.labels[:, middle],
        own=batch.own[:, middle],
        reblurred=batch.reblurred[:, middle],
        taught=batch.taught[:, middle],
    )
    config = AdaptConfig(sis=False, masks="none")
    for outside in (0, 3):
        change, losses = learned(config, replace(few, reduced=torch.full_like(few.reduced, outside)), 2)
        assert change == 0
        assert losses["sevd"] == 0
    assert gradient(config, replace(few, reduced=torch.full_like(few.reduced, 2)), stage=2) != 0


def test_the_earlier_network_is_renewed_while_the_clip_grows_sharper() -> None:
    """SCSCM (Eq. 9): θ_k follows the network."""
    trainer = tiny_trainer(12, first_stage=0.0, check=2, rate=3e-3, average=0.5)
    events = [event for report in run(trainer) for event in report.events]
    assert trainer.history is not None
    assert trainer.history.refreshes > 0
    assert any("renewed" in event for event in events)


def test_the_perceptual_network_gets_values_as_it_was_trained_with() -> None:
    network = Perceptual()
    seen: list[Tensor] = []
    network.features[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    mean_and_spread = torch.tensor([0.485, 0.456, 0.406]) + torch.tensor([0.229, 0.224, 0.225])
    network(mean_and_spread.view(1, 3, 1, 1).expand(1, 3, 32, 32))
    assert torch.allclose(seen[0], torch.ones(1, 3, 32, 32), atol=1e-5)


def test_the_seed_decides() -> None:
    one, again, other = (tiny_trainer(2, seed=seed) for seed in (0, 0, 1))
    for trainer in (one, again, other):
        run(trainer)
    assert same(one.average.values, again.average.values)
    assert not same(one.average.values, other.average.values)


def test_the_rate_rises_and_falls() -> None:
    trainer = tiny_trainer(12, warmup=2)
    used = []
    for report in trainer.steps():
        used.append(trainer.optimizer.param_groups[0]["lr"])
        assert report.rate == pytest.approx(used[-1])
    assert used[0] < used[1]
    assert used[1:] == sorted(used[1:], reverse=True)
    assert used[-1] < 0.1 * max(used)


def test_the_gradient_is_clipped() -> None:
    trainer = tiny_trainer(1, clip_gradient=1e-4)
    run(trainer)
    gradients = [each.grad for each in trainer.restorer.parameters() if each.grad is not None]
    assert 0 < float(torch.stack([each.norm() for each in gradients]).norm()) <= 1.01e-4
