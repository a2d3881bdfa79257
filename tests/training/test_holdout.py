"""The held-out check withholds with restraint and tells better networks from worse ones."""

from __future__ import annotations

import torch
from torch import Tensor
from training_stand_ins import SearchEstimator, make_shot, shaken_frames, texture, tiny_restorer

from selfhvd_cli.device import Compute
from selfhvd_cli.ops.displacement import displacement
from selfhvd_cli.ops.sharpness import sharpness
from selfhvd_cli.restore.restorer import Convention, Restorer
from selfhvd_cli.training.approach import Approach
from selfhvd_cli.training.config import AdaptConfig
from selfhvd_cli.training.holdout import Standing, held_out_probes, standing, withhold
from selfhvd_cli.training.probes import Probe, blurry_probes
from selfhvd_cli.training.reblur import reblur_as_much

COMPUTE = Compute(torch.device("cpu"), torch.float32, "test")


def probes_of(frames: Tensor) -> tuple[list[Probe], list[Probe]]:
    shots = withhold([make_shot(frames)], 2)
    estimator = SearchEstimator()
    approach = Approach(estimator, COMPUTE.device)
    known = held_out_probes(shots, tiny_restorer(), estimator, approach, AdaptConfig(), COMPUTE, 5, 2)
    return known, blurry_probes(shots, 2, 5)


def test_few_sharp_frames_are_withheld_and_never_the_ends() -> None:
    frames, _ = shaken_frames(count=28)
    shot = withhold([make_shot(frames)], 4)[0]
    assert len(shot.withheld) == 1
    assert set(shot.withheld) < {4, 8, 12, 16, 20}
    assert len(shot.teachers) == 6
    few, _ = shaken_frames(count=9)
    assert withhold([make_shot(few)], 4)[0].withheld == ()
    assert sum(len(each.withheld) for each in withhold([make_shot(frames)] * 9, 4)) == 4


def test_a_reblurred_frame_is_as_soft_as_asked_and_where_it_was() -> None:
    picture = texture(96, 96)
    before, after = torch.full((2, 3, 3), -2.0), torch.full((2, 3, 3), 2.0)
    for ratio in (0.3, 0.7):
        soft = reblur_as_much(picture, before, after, ratio)
        measured = sharpness(soft.unsqueeze(0)) / sharpness(picture.unsqueeze(0))
        assert abs(float(measured) - ratio) < 0.05
        assert float(displacement(soft.unsqueeze(0), picture.unsqueeze(0))) < 0.25


def test_the_truth_scores_best() -> None:
    frames, _ = shaken_frames(count=28)
    known, blurry = probes_of(frames)
    assert [probe.name.split()[2] for probe in known] == ["against"]

    class Oracle(torch.nn.Module):
        def __init__(self, share: float) -> None:
            super().__init__()
            self.share = share

        def forward(self, given: Tensor) -> Tensor:
            restored = given.clone()
            for probe in known:
                if torch.equal(given[0], probe.frames):
                    assert probe.truth is not None
                    restored[0, probe.place] = torch.lerp(probe.input, probe.truth, self.share)
            return restored

    networks = [Restorer(Oracle(share), Convention()) for share in (0, 0.5, 0.9)]
    scores = [standing(network, known, blurry, COMPUTE).score for network in networks]
    assert scores == sorted(scores)
    assert scores[2] > scores[0] + 5


def test_without_withheld_frames_the_sharpest_is_reblurred() -> None:
    frames, _ = shaken_frames(count=9)
    known, _ = probes_of(frames)
    assert [probe.name.split()[2] for probe in known] == ["re-blurred"]


def test_a_higher_score_that_moves_the_picture_does_not_win() -> None:
    base = Standing(30.0, 0.05, 80.0)
    assert Standing(30.5, 0.08, 90.0).beats(base, base)
    assert Standing(30.1, 0.05, 90.0).beats(base, base)
    assert not Standing(30.03, 0.05, 90.0).beats(base, base)  # the held-out truth errs by as much
    assert not Standing(30.5, 0.4, 90.0).beats(base, base)
    assert not Standing(29.9, 0.05, 99.0).beats(base, base)
    assert not Standing(float("-inf"), float("nan"), 0.0).beats(base, base)
