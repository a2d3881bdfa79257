"""Batches depend on the seed and the step alone, and never show withheld frames as targets or labels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from training_stand_ins import SearchEstimator, make_shot, shaken_frames

from selfhvd_cli.ops.sharpness import sharpness
from selfhvd_cli.training.approach import Approach
from selfhvd_cli.training.batches import Batches, turned
from selfhvd_cli.training.config import AdaptConfig
from selfhvd_cli.training.footage import Shot


def drawn_from(*shots: Shot, selects_frames: bool = False, **options: Any) -> Batches:
    config = AdaptConfig(crop=64, sequence=6, **{"batch": 2, "targets": 2, **options})
    return Batches(shots, Approach(SearchEstimator(), torch.device("cpu")), config, selects_frames=selects_frames)


def same(one: Tensor, two: Tensor) -> bool:
    return torch.equal(one, two)


def test_a_step_draws_the_same_in_a_new_run() -> None:
    frames, _ = shaken_frames()
    first = drawn_from(make_shot(frames))
    for step in range(3):
        first.draw(step)
    again = drawn_from(make_shot(frames)).draw(2)
    once = first.draw(2)
    assert same(once.frames, again.frames)
    assert same(once.labels, again.labels)
    assert once.keep == again.keep
    assert not same(once.frames, first.draw(3).frames)


def test_two_processes_share_one_batch() -> None:
    frames, _ = shaken_frames()
    batches = drawn_from(make_shot(frames))
    whole = batches.draw(5)
    parts = [batches.draw(5, rank, 2) for rank in range(2)]
    assert same(whole.frames, torch.cat([part.frames for part in parts]))
    assert same(whole.reduced, torch.cat([part.reduced for part in parts]))


def test_labels_show_the_targets_and_are_sharp() -> None:
    frames, _ = shaken_frames()
    batches = drawn_from(make_shot(frames), selects_frames=True, neighbours=1)
    for step in range(6):
        batch = batches.draw(step)
        assert batch.targets.shape == batch.labels.shape == (2, 2, 3, 64, 64)
        # Brought near to whole pixels, a label differs from its target by the blur, not by the motion.
        assert (batch.labels - batch.targets).abs().mean() < 0.12
        assert same(batch.labels[batch.own], batch.targets[batch.own])


def test_every_batch_of_two_shows_one_sharp_frame_unless_told_otherwise() -> None:
    frames, _ = shaken_frames()
    shares = {0.5: [1, 1, 1, 1], 0.25: [0, 1, 0, 1], 0.0: [0, 0, 0, 0], 1.0: [2, 2, 2, 2]}
    for share, wanted in shares.items():
        batches = drawn_from(make_shot(frames), selects_frames=True, targets=1, sharp_share=share)
        assert [int(batches.draw(step).own.sum()) for step in range(4)] == wanted


def test_withheld_frames_take_no_part() -> None:
    frames, _ = shaken_frames()
    frames[:, 2] = torch.arange(len(frames)).view(-1, 1, 1) / 255  # blue tells which frame it is
    batches = drawn_from(make_shot(frames, withheld=(8,)))
    for step in range(12):
        batch = batches.draw(step)
        numbers = (batch.targets[:, :, 2].mean(dim=(-1, -2)) * 255).round()
        assert ((numbers == 8) == ~batch.taught).all()
        assert not (batch.labels[:, :, 2].mean(dim=(-1, -2)) * 255).round().eq(8).any()


def test_a_short_clip_gives_short_sequences_and_a_small_one_small_crops() -> None:
    frames, _ = shaken_frames(count=5, height=80, width=66)
    batches = drawn_from(make_shot(frames), batch=1)
    assert batches.draw(0).frames.shape == (1, 5, 3, 64, 64)
    assert len({tuple(turned(torch.arange(4.0).view(2, 2), turn).flatten().tolist()) for turn in range(8)}) == 8


def test_shots_shorter_than_the_sequence_teach_too() -> None:
    long, short = (make_shot(shaken_frames(count=count)[0]) for count in (16, 5))
    batches = drawn_from(long, short, selects_frames=True)
    lengths = []
    for step in range(24):
        batch = batches.draw(step)
        parts = [batches.draw(step, rank, 2) for rank in range(2)]
        assert same(batch.frames, torch.cat([part.frames for part in parts]))
        assert batch.labels.shape[:2] == batch.own.shape == (2, 2)
        assert batch.reduced.max() < batch.frames.shape[1]
        lengths.append(batch.frames.shape[1])
    assert set(lengths) == {5, 6}


def test_a_reblurred_frame_has_itself_as_exact_label() -> None:
    frames, _ = shaken_frames()
    batches = drawn_from(make_shot(frames), selects_frames=True, targets=1, reblurred=1)
    for step in range(4):
        batch = batches.draw(step)
        assert batch.own.all()
        for target, label in zip(batch.targets[:, 0], batch.labels[:, 0], strict=True):
            soft, sharp = sharpness(torch.stack((target, label))).tolist()
            assert soft < 0.8 * sharp
            assert (target - label).abs().mean() < 0.1
