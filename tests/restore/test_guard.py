"""Guard: true restorations pass, whatever is wrong with a result is held back, no frame gets less sharp."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from guard_pictures import distance, judged, kept, leaves, moved, noisy, psnr, shaken, unsharp
from torch import Tensor

from selfhvd_cli.ops.displacement import displacement
from selfhvd_cli.ops.sharpness import sharpness
from selfhvd_cli.ops.stencil import smooth
from selfhvd_cli.ops.warp import warp
from selfhvd_cli.restore.guard import ELSEWHERE, guard, guard_each


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
@pytest.mark.parametrize("length", [5, 9, 13])
def test_a_true_restoration_passes(seed: int, length: int) -> None:
    sharp = leaves(seed)
    frame = shaken(sharp, length, seed)
    result, verdict = judged(frame, sharp)
    assert kept(frame, sharp, result) >= 0.9
    assert verdict.strength >= 0.9
    assert psnr(result, sharp) > psnr(frame, sharp) + 6


@pytest.mark.parametrize("seed", [1, 2])
def test_a_sharp_frame_passes_nearly_untouched(seed: int) -> None:
    frame = noisy(leaves(seed), seed)
    result, _ = judged(frame, leaves(seed))
    assert (result - frame).abs().mean() < 2 / 255
    same, verdict = judged(frame, frame)
    assert torch.allclose(same, frame, atol=1e-6)
    assert verdict.reason == ""


def test_noise_taken_out_of_a_blurry_frame_stays_out() -> None:
    sharp = leaves(5)
    frame = noisy(shaken(sharp, 9, 5), 6, sigma=4.0)
    result, _ = judged(frame, sharp)
    assert psnr(result, sharp) > psnr(frame, sharp) + 6


@pytest.mark.parametrize("length", [1, 5])
@pytest.mark.parametrize("by", [(0.5, 0.0), (0.0, -0.5), (2.0, 0.0), (1.5, 1.5)])
def test_a_shifted_result_does_not_shift_the_frame(length: int, by: tuple[float, float]) -> None:
    sharp = leaves(6)
    frame = shaken(sharp, length, 6)
    result, verdict = judged(frame, moved(sharp, *by))
    assert distance(frame, result) < 0.1 + 0.06 * (length - 1)
    assert verdict.shift is not None
    assert verdict.shift > 0.3
    if math.hypot(*by) > 1:
        assert verdict.reason == ELSEWHERE
        assert verdict.strength == 0


@pytest.mark.parametrize("by", [0.2, 0.4])
@pytest.mark.parametrize("way", ["turned", "enlarged", "torn apart"])
def test_no_part_of_a_frame_is_shifted(way: str, by: float) -> None:
    """Also where the mean of all movements is none."""
    frame = leaves(17, 432, 576)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 432), torch.linspace(-1, 1, 576), indexing="ij")
    flow = {"turned": (-y, x), "enlarged": (x, y), "torn apart": (torch.sign(x), torch.zeros_like(x))}[way]
    elsewhere = warp(frame.unsqueeze(0), by * torch.stack(flow).unsqueeze(0), mode="bicubic")[0]
    result, _ = judged(frame, unsharp(elsewhere, 0.5))
    assert displacement(elsewhere.unsqueeze(0), frame.unsqueeze(0)) > 0.15
    assert displacement(result.unsqueeze(0), frame.unsqueeze(0)) < 0.1


def test_a_small_shift_is_put_back_without_losing_the_restoration() -> None:
    sharp = leaves(7)
    frame = shaken(sharp, 5, 7)
    result, _ = judged(frame, moved(sharp, 0.3))
    assert psnr(result, sharp) > psnr(moved(sharp, 0.3), sharp)
    assert psnr(result, sharp) > psnr(frame, sharp) + 5


@pytest.mark.parametrize("seed", [31, 32, 40])
def test_a_black_edge_of_a_result_is_no_movement_of_the_whole_picture(seed: int) -> None:
    sharp = leaves(seed)
    for length in (1, 5):
        frame = shaken(sharp, length, seed)
        restored = sharp.clone()
        restored[..., -8:] = 0
        result, verdict = judged(frame, restored)
        alone, _ = judged(frame, sharp)
        assert verdict.reason != ELSEWHERE
        inside = (slice(None), slice(None), slice(0, 200))
        assert distance(alone[inside], result[inside]) < 0.05


WRONG: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "NaN": lambda sharp, frame: sharp.clone().index_fill_(-1, torch.tensor([7]), float("nan")),
    "infinity": lambda sharp, frame: sharp / torch.zeros(()),
    "black": lambda sharp, frame: sharp * 0,
    "blank": lambda sharp, frame: sharp * 0 + 0.5,
    "another picture": lambda sharp, frame: leaves(99),
    "double contours": lambda sharp, frame: 0.7 * sharp + 0.3 * moved(sharp, 4.0),
    "double contours upwards": lambda sharp, frame: 0.7 * sharp + 0.3 * moved(sharp, 0.0, -4.0),
    "upside down": lambda sharp, frame: sharp.flip(-2),
    "noise": lambda sharp, frame: frame + 0.15 * torch.randn(frame.shape, generator=torch.Generator().manual_seed(1)),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("length", [1, 5, 9])
def test_a_wrong_result_is_held_back(wrong: str, length: int) -> None:
    sharp = leaves(8)
    frame = shaken(sharp, length, 8)
    result, verdict = judged(frame, WRONG[wrong](sharp, frame))
    assert (result - frame).abs().mean() < 0.5 / 255
    assert verdict.held_back > 0.9
    assert verdict.reason


def test_frames_judged_together_are_judged_as_if_each_were_alone() -> None:
    """Good ones, wrong ones, and what takes another way through the guard, each in the company of all others."""
    sharp = leaves(8)
    frames = [shaken(sharp, length, 8) for length in (1, 5, 9)]
    wanted = {**WRONG, "true": lambda sharp, frame: sharp, "moved a little": lambda sharp, frame: moved(sharp, 0.3),
              "softer": lambda sharp, frame: smooth(frame.unsqueeze(0))[0],
              "discoloured": lambda sharp, frame: sharp + torch.tensor([0.05, 0.0, -0.03]).view(3, 1, 1)}  # fmt: skip
    pairs = [(frame, made(sharp, frame)) for made in wanted.values() for frame in frames]
    together = guard_each(*(torch.stack(pictures) for pictures in zip(*pairs, strict=True)))
    reasons = set()
    for (result, verdict), pair in zip(together, pairs, strict=True):
        alone, said = guard(*pair)
        assert torch.allclose(result, alone, atol=1e-5)
        assert verdict.reason == said.reason
        assert verdict.strength == pytest.approx(said.strength, abs=1e-4)
        reasons.add(verdict.reason)
    assert len(reasons) >= 6


@pytest.mark.parametrize("length", [1, 5])
def test_halos_of_oversharpening_are_mostly_held_back(length: int) -> None:
    sharp = leaves(9)
    frame = shaken(sharp, length, 9)
    wrong = unsharp(sharp, 3.0).clamp(0, 1)
    result, verdict = judged(frame, wrong)
    assert kept(frame, wrong, result) < 0.6
    assert halo(result, sharp) < 0.5 * halo(wrong, sharp)
    assert verdict.reason


def halo(picture: Tensor, sharp: Tensor) -> float:
    """Mean of what lies beyond the sharp picture's values within four pixels."""
    high = F.max_pool2d(sharp, 9, stride=1, padding=4)
    low = -F.max_pool2d(-sharp, 9, stride=1, padding=4)
    return float(((picture - high).clamp(min=0) + (low - picture).clamp(min=0)).mean())


def test_ringing_is_held_back() -> None:
    sharp = leaves(10)
    frame = shaken(sharp, 5, 10)
    waves = 0.08 * torch.sin(torch.arange(frame.shape[-1]) * 1.6)
    result, _ = judged(frame, sharp + waves)
    assert float((result - frame).abs().mean()) < 0.3 * float(waves.abs().mean())


def test_only_the_wrong_part_is_held_back() -> None:
    sharp = leaves(12)
    frame = shaken(sharp, 7, 12)
    restored = sharp.clone()
    restored[:, 60:130, 80:170] = leaves(50)[:, 60:130, 80:170]
    result, _ = judged(frame, restored)
    inside = (slice(None), slice(70, 120), slice(90, 160))
    assert (result - frame)[inside].abs().mean() < 0.15 * (restored - frame)[inside].abs().mean()
    outside = (slice(None), slice(150, 216))
    assert kept(frame[outside], sharp[outside], result[outside]) > 0.85


@pytest.mark.parametrize("length", [1, 9])
def test_a_softer_result_never_softens_the_frame(length: int) -> None:
    frame = shaken(leaves(13), length, 13)
    soft = F.avg_pool2d(F.pad(frame.unsqueeze(0), (1,) * 4, mode="reflect"), 3, stride=1)[0]
    result, _ = judged(frame, soft)
    assert psnr(result, frame) > psnr(soft, frame) + 1.5


@pytest.mark.parametrize("gain", [0.05, 0.1, 1.7])
def test_where_black_and_white_leave_no_room_for_grain_no_frame_gets_softer_either(gain: float) -> None:
    clean = (leaves(16) * gain).clamp(0.0, 1.0)
    frame = noisy(clean, 16, sigma=8.0)
    result, verdict = judged(frame, smooth(clean.unsqueeze(0))[0])
    before, after = sharpness(torch.stack([frame, result])).tolist()
    assert verdict.strength > 0
    assert after >= before
    assert verdict.sharpness_after == pytest.approx(after, rel=1e-3)


def test_strength_scales_the_change() -> None:
    sharp = leaves(14)
    frame = shaken(sharp, 7, 14)
    shares = [kept(frame, sharp, judged(frame, sharp, strength)[0]) for strength in (0.25, 0.5, 1.0)]
    assert shares == sorted(shares)
    assert shares[0] == pytest.approx(0.25, abs=0.07)
    assert shares[1] == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (16, 40), (33, 47), (64, 17)])
def test_small_and_odd_sizes(height: int, width: int) -> None:
    sharp = leaves(15)[:, :height, :width]
    judged(noisy(sharp, 1), sharp)


def test_the_authors_result_on_a_real_clip_keeps_its_gain_and_loses_no_sharpness(shared) -> None:
    blurry = decoded(shared / "media/hvd/008_blurry.mp4", (4, 11, 24))
    restored = decoded(shared / "media/hvd/008_selfhvd.mp4", (4, 11, 24))
    for index, (frame, theirs) in enumerate(zip(blurry, restored, strict=True)):
        result, verdict = judged(frame, theirs)
        assert psnr(result, theirs) > psnr(frame, theirs) + 2, index
        assert verdict.strength > 0.5


def decoded(path, wanted: tuple[int, ...]) -> list[Tensor]:
    import av

    pictures = []
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index in wanted:
                whole = torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1).float() / 255
                pictures.append(whole[:, 300:900, 500:1300])
    return pictures
