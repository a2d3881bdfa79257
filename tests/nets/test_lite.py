"""The embedded network: its shapes, its ends, and that untrained it does no harm."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
import torch

from selfhvd_cli.nets import lite
from selfhvd_cli.nets.lite import Lite
from selfhvd_cli.nets.lite_looks import Look, Looking, Restoring
from selfhvd_cli.ops.constants import numbers, spaced
from selfhvd_cli.ops.correlation import correlate, displacements
from selfhvd_cli.ops.sharpness import sharpness
from selfhvd_cli.ops.source_frames import choose_sources
from selfhvd_cli.restore.moving_picture import moving_picture
from selfhvd_cli.weights.load import load_state_dict
from selfhvd_cli.weights.reference import parse_reference
from selfhvd_cli.weights.store import find


@pytest.fixture(scope="module")
def network() -> Lite:
    torch.manual_seed(0)
    return Lite(sources=2).eval()


@pytest.mark.parametrize("length", [1, 2, 5])
def test_any_length_gives_a_frame_for_a_frame(network: Lite, length: int) -> None:
    frames = torch.rand(1, length, 3, 64, 72)
    with torch.inference_mode():
        assert network(frames).shape == frames.shape


def test_only_the_wanted_frames_come_and_they_are_the_same(network: Lite) -> None:
    frames = torch.rand(1, 5, 3, 64, 64)
    with torch.inference_mode():
        everything, middle = network(frames), network(frames, slice(2, 4))
    assert torch.allclose(everything[:, 2:4], middle, atol=1e-4)


def test_sharp_and_blurred_frames_of_one_window_take_their_own_ways(network: Lite) -> None:
    """Large enough to be halved: each frame of a window finds for itself at which size it begins."""
    frames = torch.rand(1, 3, 3, 504, 512)
    frames[:, ::2] = torch.nn.functional.avg_pool2d(frames[:, ::2].flatten(0, 1), 9, 1, 4).unflatten(0, (1, 2))
    with torch.inference_mode():
        together = network(frames)
        alone = torch.cat([network(frames, slice(i, i + 1)) for i in range(3)], dim=1)
    assert together.shape == frames.shape
    assert torch.allclose(together, alone, atol=1e-4)


def test_a_soft_scene_is_not_made_a_crisp_one() -> None:
    """Lenses are soft; only what moved shall be sharpened."""
    path = find(parse_reference("lite"))
    assert path is not None
    network = Lite().eval()
    network.load_state_dict(load_state_dict(path))
    rng = np.random.default_rng(0)
    scene = np.full((168, 200, 3), 90, np.uint8)
    for _ in range(60):
        x, y, width, height = (int(value) for value in rng.integers((0, 0, 6, 6), (200, 200, 40, 40)))
        color = tuple(int(value) for value in rng.integers(30, 220, 3))
        cv2.rectangle(scene, (x, y), (x + width, y + height), color, -1)
    scene = cv2.GaussianBlur(scene, (0, 0), 1.3)
    shown = [scene[10 + 2 * step : 138 + 2 * step, 8 + 3 * step : 168 + 3 * step] for step in range(5)]
    frames = torch.from_numpy(np.stack(shown)).permute(0, 3, 1, 2) / 255.0
    with torch.inference_mode():
        restored = network(frames.unsqueeze(0))[0].clamp(0, 1)
    assert float((sharpness(restored) / sharpness(frames)).max()) < 1.8


@pytest.mark.parametrize(("blur", "gain", "by_smaller_sizes"), [(5, 5.0, False), (25, 6.0, True), (41, 2.5, True)])
def test_long_blur_is_restored_from_a_smaller_size_and_short_blur_is_not(
    monkeypatch: pytest.MonkeyPatch, blur: int, gain: float, by_smaller_sizes: bool
) -> None:
    path = find(parse_reference("lite"))
    assert path is not None
    network = Lite().eval()
    network.load_state_dict(load_state_dict(path))
    sharp = moving_picture(5, 512, 640)
    clip = sharp.clone()
    margins = torch.nn.functional.pad(sharp[1:3], (blur // 2, blur // 2, 0, 0), mode="replicate")
    clip[1:3] = torch.nn.functional.avg_pool2d(margins, (1, blur), 1)

    def psnr(picture: torch.Tensor) -> float:
        return float(-10.0 * (picture.clamp(0, 1) - sharp[2:3]).square().mean().log10())

    def restored() -> float:
        with torch.inference_mode():
            return psnr(network(clip.unsqueeze(0), slice(2, 3))[0])

    at_all_sizes = restored()
    assert at_all_sizes > psnr(clip[2:3]) + gain
    monkeypatch.setattr(lite, "SMALLEST_SCALE", 10_000)
    assert (at_all_sizes > restored() + 2.0) == by_smaller_sizes


def test_clips_of_a_batch_do_not_mix(network: Lite) -> None:
    frames = torch.rand(2, 3, 3, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(network(frames)[1:], network(frames[1:]), atol=1e-5)


def test_small_pictures_at_once_are_those_of_one_frame_after_the_other() -> None:
    path = find(parse_reference("lite"))
    assert path is not None
    network = Lite().eval()
    network.load_state_dict(load_state_dict(path))
    clips = torch.stack([moving_picture(5, 90, 76), moving_picture(5, 90, 76).flip(1)])
    blurred = torch.nn.functional.avg_pool2d(clips[:, 1::2].flatten(0, 1), (1, 9), 1, (0, 4))
    clips[:, 1::2] = blurred.unflatten(0, (2, 2))
    with torch.inference_mode():
        together = network(clips, slice(1, 4))
        for clip, result in zip(clips, together, strict=True):
            shots = [network.shot(lambda frame=frame: frame) for frame in clip.split(1)]  # type: ignore[misc]
            alone = torch.cat([network.restore_shots([(shots, target)]) for target in range(1, 4)])
            assert float((alone - clip[1:4]).abs().mean()) > 0.01, "the network does something"
            assert torch.allclose(alone, result, atol=1e-4)


def test_frames_on_different_ways_restored_together_are_those_restored_alone() -> None:
    """Sharp, softly and heavily blurred ones: each chooses its sizes as if it were alone."""
    path = find(parse_reference("lite"))
    assert path is not None
    network = Lite().eval()
    network.load_state_dict(load_state_dict(path))
    clip = moving_picture(7, 512, 640)
    for place, blur in enumerate((1, 9, 25, 1, 41, 5, 1)):
        margins = torch.nn.functional.pad(clip[place : place + 1], (blur // 2, blur // 2, 0, 0), mode="replicate")
        clip[place] = torch.nn.functional.avg_pool2d(margins, (1, blur), 1)[0]
    asked: list[tuple[int, ...]] = []
    answer = network._answer

    def counted(requests: Sequence[Looking | Restoring]) -> Sequence[Look | torch.Tensor]:
        asked.append((len(requests), *requests[0].kind))
        return answer(requests)

    network._answer = counted  # type: ignore[method-assign]
    with torch.inference_mode():
        shots = [network.shot(lambda frame=frame: frame) for frame in clip.split(1)]  # type: ignore[misc]
        together = network.restore_shots([(shots, target) for target in range(7)])
        at_once = len(asked)
        alone = torch.cat([network.restore_shots([(shots, target)]) for target in range(7)])
    assert torch.allclose(together, alone, atol=1e-4)
    assert len({tuple(kind) for _, *kind in asked[:at_once]}) > 3, "several ways were taken"
    assert at_once < 0.6 * (len(asked) - at_once)


def test_a_still_clip_stays_as_it_is_before_training(network: Lite) -> None:
    frame = torch.rand(1, 1, 3, 64, 64)
    with torch.inference_mode():
        output = network(frame.expand(1, 3, 3, 64, 64))
    assert (output - frame).abs().mean() < 0.1


def test_every_parameter_learns(network: Lite) -> None:
    training = Lite(sources=2)
    for name, value in training.named_parameters():
        if "residual" in name or "mix" in name or ".last" in name:
            torch.nn.init.normal_(value, std=0.05)
    result = training.restore(torch.rand(1, 3, 64, 64), torch.rand(1, 2, 3, 64, 64))
    (result.frames.abs().mean() + sum(a.flow.abs().mean() + a.log_scale.mean() for a in result.alignments)).backward()
    parameters = [(n, p) for n, p in training.named_parameters() if n != "trust.bias"]  # cancels in the softmax
    still = [n for n, p in parameters if p.grad is None or not p.grad.abs().sum() > 0]
    assert not still


def test_what_is_remembered_of_a_look_at_the_result_serves_the_training_that_follows(network: Lite) -> None:
    for remembered in (numbers, spaced):
        remembered.cache_clear()
    target, sources = torch.rand(1, 3, 64, 64), torch.rand(1, 2, 3, 64, 64)
    with torch.inference_mode():
        network.restore(target, sources)
    network.restore(target, sources).frames.mean().backward()
    network.zero_grad()


def test_correlation_finds_a_shift() -> None:
    features = torch.nn.functional.normalize(torch.randn(1, 16, 12, 12), dim=1)
    moved = torch.roll(features, shifts=(1, -2), dims=(2, 3))
    best = correlate(features, moved, 3)[0, :, 6, 6].argmax()
    assert displacements(3)[int(best)] == (-2, 1)


def test_correlation_has_the_right_gradient() -> None:
    a = torch.randn(1, 2, 4, 5, dtype=torch.double, requires_grad=True)
    b = torch.randn(1, 2, 4, 5, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, y: correlate(x, y, 1), (a, b))


def test_sources_are_sharp_and_near_and_on_both_sides() -> None:
    scores = [1.0] * 21
    scores[4], scores[13], scores[20] = 50.0, 40.0, 60.0
    chosen = choose_sources(scores, 10, 3)
    assert set(chosen[:2]) == {4, 13}
    assert chosen[2] == 20
    assert choose_sources([1.0], 0, 3) == (0, 0, 0)
    assert set(choose_sources([1.0, 9.0], 0, 2)) == {1, 0}
