"""Footage gives back what was put in, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from training_stand_ins import make_shot, shaken_frames

from selfhvd_cli.training.footage import Footage, sharpness_ratio


def test_frames_come_back_to_half_a_code_value() -> None:
    frames = torch.rand(3, 3, 20, 30)
    footage = Footage(20, 30)
    for frame in frames:
        footage.append(frame)
    assert len(footage) == 3
    for index in range(3):
        assert (footage.picture(index) - frames[index]).abs().max() <= 0.5 / 255 + 1e-6


def test_a_crop_is_that_part_of_the_frame() -> None:
    footage = Footage(20, 30)
    footage.append(torch.zeros(3, 20, 30))
    footage.append(torch.rand(3, 20, 30))
    assert torch.equal(footage.crop(1, 4, 7, 9, 11).float() / 255, footage.picture(1)[:, 4:13, 7:18])
    with pytest.raises(IndexError):
        footage.crop(1, 12, 0, 9, 9)


def test_nothing_is_left_on_disk(tmp_path: Path) -> None:
    with Footage(16, 16, tmp_path) as footage:
        footage.append(torch.rand(3, 16, 16))
        assert footage.picture(0).shape == (3, 16, 16)
    assert list(tmp_path.iterdir()) == []


def test_a_frame_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[3, 16, 16\]"):
        Footage(16, 16).append(torch.rand(3, 16, 18))


def test_labels_come_from_the_nearest_sharp_frame_that_is_not_withheld() -> None:
    frames, _ = shaken_frames()
    shot = make_shot(frames)
    assert shot.sharp.indices == (0, 4, 8, 12)
    assert shot.label_of(5) == 4
    assert make_shot(frames, withheld=(4,)).label_of(5) == 8
    assert shot.label_of(6) == max(4, 8, key=lambda index: shot.sharp.scores[index])
    assert shot.label_of(10) == max(8, 12, key=lambda index: shot.sharp.scores[index])
    assert sharpness_ratio([shot]) > 1.5
