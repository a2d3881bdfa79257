"""SEVD: sharp frames give way to their blurry neighbours, and the better supervision is taken."""

from __future__ import annotations

import numpy as np
import torch
from training_stand_ins import blurred, texture

from selfhvd_cli.ops.detail import detail
from selfhvd_cli.training.config import AdaptConfig
from selfhvd_cli.training.enhance import choose_supervision, remove_sharp_clues
from selfhvd_cli.training.pairs import AlignedLabels

SHARP = [True, False, False, True, True, False]


def test_some_sharp_frames_give_way_to_the_blurry_frame_closest_in_time() -> None:
    counts = set()
    for seed in range(40):
        places = remove_sharp_clues(SHARP, np.random.default_rng(seed))
        changed = [place for place in range(6) if places[place] != place]
        counts.add(len(changed))
        assert changed
        assert all(SHARP[place] for place in changed)
        closest = {0: 1, 3: 2, 4: 5}
        assert all(places[place] == closest[place] for place in changed)
    assert counts == {1, 2, 3}


def test_nothing_changes_without_sharp_or_without_blurry_frames() -> None:
    rng = np.random.default_rng(0)
    assert remove_sharp_clues([True] * 4, rng) == [0, 1, 2, 3]
    assert remove_sharp_clues([False] * 4, rng) == [0, 1, 2, 3]


def labels(picture: torch.Tensor, unmasked: float) -> AlignedLabels:
    return AlignedLabels(picture, torch.full((1, 1, 64, 64), 0.7), torch.tensor([unmasked]), detail(picture))


def test_the_label_is_taken_where_it_is_whole_and_sharper_than_the_output() -> None:
    sharp = texture(64, 64).unsqueeze(0)
    soft = blurred(sharp[0], 7).unsqueeze(0)
    yes, no = torch.tensor([True]), torch.tensor([False])
    config = AdaptConfig()
    good = choose_supervision(labels(sharp, 0.9), soft, yes, no, config)
    assert good.from_label.item()
    assert torch.equal(good.pictures, sharp)
    assert good.mask.max() < 1
    distorted = choose_supervision(labels(sharp, 0.2), soft, yes, no, config)
    softer = choose_supervision(labels(soft, 0.9), sharp, yes, no, config)
    for chosen, output in ((distorted, soft), (softer, sharp)):
        assert not chosen.from_label.item()
        assert torch.equal(chosen.pictures, output)
        assert chosen.mask.min() == 1
    always = choose_supervision(labels(soft, 0.2), sharp, yes, no, AdaptConfig(sis=False))
    assert always.from_label.item()


def test_a_sharp_frame_is_its_own_label_unless_that_is_ruled_out() -> None:
    sharp = texture(64, 64).unsqueeze(0)
    crisper = (sharp + 0.1 * (sharp - blurred(sharp[0], 5).unsqueeze(0))).clamp(0, 1)
    yes, no = torch.tensor([True]), torch.tensor([False])
    assert choose_supervision(labels(sharp, 1.0), crisper, yes, yes, AdaptConfig()).from_label.item()
    assert not choose_supervision(labels(sharp, 1.0), crisper, no, yes, AdaptConfig()).from_label.item()
