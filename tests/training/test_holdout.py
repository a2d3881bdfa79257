"""The held-out check withholds with restraint and tells better networks from worse ones."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from training_stand_ins import SearchEstimator, make_shot, shaken_frames, texture, tiny_restorer

from selfhvd_cli.device import Compute
from selfhvd_cli.ops.displacement import displacement
from selfhvd_cli.ops.sharpness import sharpness
from selfhvd_cli.restore.restorer import Convention, Restorer
from selfhvd_cli.training.approach import Approach
from selfhvd_cli.training.config import AdaptConfig
from selfhvd_cli.training.holdout import Standing, held_out_probes, psnr, standing, withhold
from selfhvd_cli.training.probes import Probe, blurry_probes, cut
from selfhvd_cli.training.reblur import reblur_as_much, shake_path

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


def test_the_first_and_the_last_sharp_frame_stay() -> None:
    # One in six of 12 is two, which spread over all of them would be the third and the ninth; of four, the only one.
    for count in (13, 48):
        frames, _ = shaken_frames(count=count, step=1)
        shot = make_shot(frames)
        sharp = list(shot.sharp.indices)
        held = withhold([shot], 4)[0].withheld
        inner = sharp[1:-1]
        places = [(2 * number + 1) * len(inner) // (2 * len(held)) for number in range(len(held))]
        assert list(held) == [inner[place] for place in places]


def test_the_score_counts_what_the_mask_trusts_and_nothing_of_its_size() -> None:
    truth = torch.full((3, 16, 16), 0.5)
    mask = torch.ones(1, 16, 16)
    mask[..., 4:] = 0
    picture = truth + 0.1
    picture[..., 4:] = 0
    for weight in (1.0, 0.3):
        assert psnr(picture, Probe(truth[None], 0, 0, 0, "", truth, weight * mask)) == pytest.approx(20, abs=1e-3)


def test_each_withheld_frame_is_the_truth_of_the_blurry_frame_next_to_it() -> None:
    known, _ = probes_of(shaken_frames(count=28)[0])
    blurry, sharp = (int(known[0].name.split()[place]) for place in (1, 3))
    assert abs(blurry - sharp) == 1


def test_a_probe_at_the_end_of_a_clip_is_as_long_as_others() -> None:
    frames, _ = shaken_frames()
    shot = make_shot(frames)
    for frame, place in ((1, 1), (8, 2), (15, 4)):
        probe = cut(shot, frame, 5, "")
        assert (len(probe.frames), probe.place) == (5, place)
        height, width = probe.frames.shape[-2:]
        seen = frames[frame, :, probe.top : probe.top + height, probe.left : probe.left + width]
        assert (probe.input - seen).abs().max() < 0.5 / 255 + 1e-6


def test_blurry_places_are_spread_over_the_clip() -> None:
    frames, _ = shaken_frames()
    assert [int(probe.name.split()[1]) for probe in blurry_probes([make_shot(frames)], 2, 5)] == [5, 13]


def test_what_gives_no_numbers_scores_below_everything() -> None:
    known, blurry = probes_of(shaken_frames(count=28)[0])
    restorer = tiny_restorer()
    base = standing(restorer, known, blurry, COMPUTE)
    with torch.no_grad():
        restorer.network.last.bias += float("nan")
    assert standing(restorer, known, blurry, COMPUTE).score == float("-inf")
    assert not standing(restorer, known, blurry, COMPUTE).beats(base, base)


@pytest.mark.parametrize("trusted", [True, False])
def test_the_truth_of_a_reblurred_frame_is_the_frame_or_what_the_network_makes_of_it(trusted: bool) -> None:
    frames, _ = shaken_frames(count=9)
    shot = make_shot(frames)
    restorer, estimator = tiny_restorer(), SearchEstimator()
    with torch.no_grad():
        restorer.network.last.bias += 0.1
    approach = Approach(estimator, COMPUTE.device)
    known = held_out_probes([shot], restorer, estimator, approach, AdaptConfig(), COMPUTE, 5, 2, trusted)
    (probe,) = known
    assert probe.truth is not None
    frame = int(probe.name.split()[1])
    size = probe.truth.shape[-1]
    sharp = shot.crop(frame, probe.top, probe.left, size)
    assert torch.allclose(probe.truth, sharp if trusted else (sharp + 0.1).clamp(0, 1), atol=1e-5)


def test_an_uneven_shake_blurs_to_both_sides_as_far_as_it_went() -> None:
    """Blur that moves the picture would teach to move it back."""
    before, after = torch.zeros(2, 3, 3), torch.zeros(2, 3, 3)
    before[0], after[0], after[1] = -1.0, 9.0, 2.0
    path = shake_path(before, after, 1.0, 9)
    assert path.mean(dim=0).abs().max() < 1e-6
    first, last = path[0, :, 0, 0], path[-1, :, 0, 0]
    middle = path[4, :, 0, 0]
    assert torch.allclose(first - middle, torch.tensor([-4 / 9, 0.0]), atol=1e-5)
    assert torch.allclose(last - middle, torch.tensor([4.0, 8 / 9]), atol=1e-5)


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
    assert not Standing(30.5, 0.05, 99.0).beats(Standing(30.6, 0.05, 80.0), base)
    assert not Standing(float("-inf"), float("nan"), 0.0).beats(base, base)
