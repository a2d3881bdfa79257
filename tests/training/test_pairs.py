"""Labels are aligned with the output, masked where alignment fails, and refused where they have nothing to teach."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from training_stand_ins import SearchEstimator, blurred, make_shot, shaken_frames, texture, tiny_restorer

from selfhvd_cli.device import Compute
from selfhvd_cli.flow.estimator import Flow
from selfhvd_cli.ops.detail import detail
from selfhvd_cli.ops.sharpness import sharpness
from selfhvd_cli.ops.warp import warp
from selfhvd_cli.training.config import AdaptConfig, Masks
from selfhvd_cli.training.pairs import align_labels, teaches
from selfhvd_cli.training.trust import base_gain

CONFIG = AdaptConfig()
OWN, OTHER = torch.tensor([True]), torch.tensor([False])


def scene(shift: int) -> Tensor:
    return texture(64, 96)[:, :, 16 + shift : 80 + shift].unsqueeze(0)


def test_the_label_lies_where_the_output_is() -> None:
    target = blurred(scene(0)[0], 5).unsqueeze(0)
    aligned = align_labels(target, target, scene(6), OTHER, SearchEstimator(), CONFIG)
    inside = slice(8, 56)
    assert (aligned.pictures - scene(0))[..., inside].abs().mean() < 0.01
    assert aligned.mask[..., inside].min() > 0.99
    # What has no counterpart in the label is masked: the scene moved out of it.
    assert aligned.mask[..., :6].max() == 0
    assert 0.8 < float(aligned.unmasked) < 0.95
    assert float(aligned.sharpness) > 1.5 * float(detail(target))


def test_a_sharp_frame_is_its_own_label_untouched() -> None:
    picture = scene(0)

    def wrong(source: Tensor, target: Tensor) -> Flow:
        return Flow(torch.full((len(source), 2, 64, 64), 9.0), torch.zeros(len(source), 1, 64, 64))

    aligned = align_labels(picture + 0.01, picture, picture, OWN, wrong, CONFIG)
    assert torch.equal(aligned.pictures, picture)
    assert aligned.mask.min() == 1
    assert float(aligned.unmasked) == 1


def test_flows_that_contradict_each_other_mask_the_label() -> None:
    def lost(source: Tensor, target: Tensor) -> Flow:
        vectors = torch.zeros(len(source), 2, 64, 64)
        vectors[: len(source) // 2, 0] = 5.0
        return Flow(vectors, torch.ones(len(source), 1, 64, 64))

    picture = scene(0)
    aligned = align_labels(picture, picture, picture, OTHER, lost, CONFIG)
    assert aligned.mask.max() < 0.01
    assert float(aligned.unmasked) == 0
    unmasked = align_labels(picture, picture, picture, OTHER, lost, AdaptConfig(masks="none"))
    assert unmasked.mask.min() == 1
    # Distortion is judged by M_o even where masks are switched off.
    assert float(unmasked.unmasked) == 0


@pytest.mark.parametrize(
    ("masks", "weight"), [("none", 1.0), ("occlusion", 0.8), ("uncertainty", 0.25), ("both", 0.2)]
)
def test_each_mask_can_be_switched_off(masks: Masks, weight: float) -> None:
    def off(source: Tensor, target: Tensor) -> Flow:
        vectors = torch.zeros(len(source), 2, 64, 64)
        vectors[len(source) // 2 :, 1] = (-2 * math.log(0.8)) ** 0.5  # α of 0.5 makes 0.8 of it
        return Flow(vectors, torch.full((len(source), 1, 64, 64), 0.5))

    aligned = align_labels(scene(0), scene(0), scene(0), OTHER, off, AdaptConfig(masks=masks))
    assert aligned.mask.min().item() == pytest.approx(weight, rel=1e-4)
    assert aligned.mask.max().item() == pytest.approx(weight, rel=1e-4)


def test_flow_starts_from_the_input_while_the_output_is_no_picture_of_it() -> None:
    seen: list[Tensor] = []

    def watching(source: Tensor, target: Tensor) -> Flow:
        seen.append(source)
        return SearchEstimator()(source, target)

    picture = scene(0)
    # As bright as the picture all over, and yet none of it: what a fresh network may give.
    pattern = picture + 0.3 * (2 * (torch.arange(64) % 2) - 1)
    align_labels(torch.zeros_like(picture), picture, picture, OTHER, watching, CONFIG)
    align_labels(pattern, picture, picture, OTHER, watching, CONFIG)
    align_labels(picture + 0.005, picture, picture, OTHER, watching, CONFIG)
    assert torch.equal(seen[0][:1], picture)
    assert torch.equal(seen[1][:1], picture)
    assert torch.equal(seen[2][:1], (picture + 0.005).clamp(0, 1))


def test_a_label_between_pixels_keeps_its_detail_and_its_range() -> None:
    def half_a_pixel(source: Tensor, target: Tensor) -> Flow:
        vectors = torch.full((len(source), 2, 64, 64), 0.5)
        vectors[len(source) // 2 :] = -0.5
        return Flow(vectors, torch.ones(len(source), 1, 64, 64))

    picture = (3.0 * (scene(0) - 0.5) + 0.5).clamp(0, 1)
    aligned = align_labels(picture, picture, picture, OTHER, half_a_pixel, CONFIG)
    bilinear = warp(picture, torch.full((1, 2, 64, 64), 0.5))
    assert float(sharpness(aligned.pictures)) > 1.3 * float(sharpness(bilinear))
    assert (aligned.pictures - bilinear).abs().mean() < 0.03
    assert 0 <= aligned.pictures.min() < aligned.pictures.max() <= 1


def test_only_clearly_sharper_labels_teach() -> None:
    sharp, soft = scene(0), blurred(scene(0)[0], 7).unsqueeze(0)
    estimator = SearchEstimator()
    helpful = align_labels(soft, soft, sharp, OTHER, estimator, CONFIG)
    useless = align_labels(soft, soft, soft, OTHER, estimator, CONFIG)
    crisper = (sharp + 0.3 * (sharp - soft)).clamp(0, 1)
    assert teaches(helpful, crisper, soft, OTHER, True, CONFIG).item()
    assert not teaches(useless, soft, soft, OTHER, True, CONFIG).item()
    assert teaches(useless, crisper, soft, OWN, True, CONFIG).item()
    # Sharp frames that keep some blur must not pull back a network that removes it.
    assert teaches(helpful, soft, soft, OTHER, False, CONFIG).item()
    assert not teaches(helpful, crisper, soft, OTHER, False, CONFIG).item()
    assert not teaches(useless, crisper, soft, OWN, False, CONFIG).item()
    for times, taught in ((1.05, False), (1.15, True)):
        label = replace(helpful, sharpness=times * detail(soft))
        for trusted in (True, False):
            assert teaches(label, torch.full_like(soft, 0.5), soft, OTHER, trusted, CONFIG).item() == taught


def test_a_network_that_sharpens_sharp_frames_is_known() -> None:
    frames, _ = shaken_frames()
    shots, compute = [make_shot(frames)], Compute(torch.device("cpu"), torch.float32, "test")
    restorer = tiny_restorer()
    assert base_gain(restorer, shots, compute, 5) == pytest.approx(1.0)
    with torch.no_grad():
        for channel in range(3):
            restorer.network.last.weight[channel, channel, 4, 3:6] = torch.tensor([-0.5, 1.0, -0.5])
    assert base_gain(restorer, shots, compute, 5) > 1.25
