"""Labels are what the base network makes of the sharp frames, and several of them may teach one frame."""

from __future__ import annotations

import errno

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from training_stand_ins import SearchEstimator, make_shot, shaken_frames

from selfhvd_cli.device import Compute
from selfhvd_cli.errors import DiskFault
from selfhvd_cli.restore.architectures import ARCHITECTURES
from selfhvd_cli.restore.restorer import Convention, Restorer
from selfhvd_cli.training.approach import Approach
from selfhvd_cli.training.batches import Batches
from selfhvd_cli.training.config import AdaptConfig
from selfhvd_cli.training.footage import Footage
from selfhvd_cli.training.labels import RestoredLabels
from selfhvd_cli.weights.load import load_state_dict
from selfhvd_cli.weights.store import resolve

COMPUTE = Compute(torch.device("cpu"), torch.float32, "test")


class Brighter(nn.Module):
    """Adds a tenth, and counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, frames: Tensor) -> Tensor:
        self.calls += 1
        return frames + 0.1


def restored_labels() -> tuple[RestoredLabels, Brighter]:
    network = Brighter()
    return RestoredLabels(Restorer(network, Convention()), ARCHITECTURES["ifirnn"], COMPUTE), network


def test_a_sharp_frame_is_restored_once_and_cut_where_asked() -> None:
    frames, _ = shaken_frames()
    shot = make_shot(frames)
    labels, network = restored_labels()
    for frame, top, left in ((4, 3, 5), (12, 0, 16), (4, 8, 8)):
        found = labels.crop(shot, frame, top, left, 64)
        wanted = (frames[frame, :, top : top + 64, left : left + 64] + 0.1).clamp(0, 1)
        assert (found - wanted).abs().max() < 0.01
    assert network.calls == 2


def test_a_full_disk_is_told_by_the_place_that_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, _ = shaken_frames()
    shot = make_shot(frames)

    def full(footage: Footage, picture: Tensor) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Footage, "append", full)
    with pytest.raises(DiskFault, match=r"No space left.*TMPDIR"):
        restored_labels()[0].crop(shot, 4, 0, 0, 64)


def test_a_label_is_restored_with_the_help_of_the_frames_around_it() -> None:
    frames, _ = shaken_frames(count=28)
    shot = make_shot(frames)
    row = ARCHITECTURES["lite"]
    restorer = row.restorer().eval()
    restorer.network.load_state_dict(load_state_dict(resolve("lite")))
    found = RestoredLabels(restorer, row, COMPUTE).crop(shot, 12, 0, 0, 64)
    with torch.no_grad():
        wanted = restorer(frames[6:19].unsqueeze(0), slice(6, 7))[0, 0, :, :64, :64].clamp(0, 1)
    assert (found - wanted).abs().max() < 0.01
    assert (frames[12, :, :64, :64] - wanted).abs().max() > 0.03


def test_batches_teach_with_restored_labels() -> None:
    frames, _ = shaken_frames()
    shot = make_shot(frames)
    config = AdaptConfig(crop=64, sequence=4, batch=4)
    drawn = {}
    for name, restored in (("recorded", None), ("restored", restored_labels()[0])):
        approach = Approach(SearchEstimator(), COMPUTE.device, restored)
        drawn[name] = Batches([shot], approach, config, selects_frames=False).draw(0)
    assert torch.equal(drawn["recorded"].frames, drawn["restored"].frames)
    middle = drawn["recorded"].labels < 0.85
    difference = (drawn["restored"].labels - drawn["recorded"].labels)[middle]
    assert 0.09 < difference.min() < difference.max() < 0.11


def test_a_blurry_frame_learns_from_several_sharp_ones_and_a_sharp_one_from_itself() -> None:
    frames, _ = shaken_frames()
    shot = make_shot(frames)
    assert shot.labels_of(6, 1) == (shot.label_of(6),)
    assert set(shot.labels_of(6, 3)) < {0, 4, 8, 12}
    assert shot.labels_of(6, 3)[:2] in ((4, 8), (8, 4))
    assert shot.labels_of(8, 3) == (8,)
    taken: dict[int, set[int]] = {1: set(), 3: set()}
    for count, labels in taken.items():
        config = AdaptConfig(crop=64, sequence=4, neighbours=count)
        batches = Batches([shot], Approach(SearchEstimator(), COMPUTE.device), config, selects_frames=False)
        labels |= {batches._label(shot, 6, np.random.default_rng(seed)) for seed in range(40)}
    assert len(taken[1]) == 1
    assert len(taken[3]) == 3
