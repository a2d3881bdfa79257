"""The synthesis: flow is exact, slow moments are sharp, noise and truth are what they say."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from selfhvd_cli.synthesis.clips import SHARP_EXTENT, draw_clip
from selfhvd_cli.synthesis.gopro_shake import GoProShakeConfig, average, movement, run_lengths, synthesise
from selfhvd_cli.synthesis.pool import to_batch, window_at
from selfhvd_cli.synthesis.shake import HandShake, shake


def scene(seed: int = 0, size: tuple[int, int] = (300, 400)) -> np.ndarray:
    """A picture with detail at every scale."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((*size, 3), np.float32)
    for scale in (1, 2, 4, 8, 16, 32):
        noise = rng.standard_normal((size[0] // scale + 1, size[1] // scale + 1, 3)).astype(np.float32)
        picture += cv2.resize(noise, size[::-1], interpolation=cv2.INTER_CUBIC) * scale**0.5
    return np.uint8(np.clip(128 + 25 * picture, 0, 255))


def moved(picture: np.ndarray, flow: np.ndarray) -> np.ndarray:
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return cv2.remap(picture, x + flow[..., 0], y + flow[..., 1], cv2.INTER_CUBIC)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255.0**2 / np.mean((a.astype(np.float64) - b) ** 2)))


@pytest.mark.parametrize("seed", range(4))
def test_flow_takes_one_sharp_frame_onto_another(seed: int) -> None:
    clip = draw_clip([scene(seed)], (96, 128), 8, seed, severity=6.0, things=0)
    flow = clip.flow(2, 5)
    here, there = clip.frame(2).sharp, clip.frame(5).sharp
    x, y = np.meshgrid(np.arange(128), np.arange(96))
    inside = (abs(x + flow[..., 0] - 63.5) < 60) & (abs(y + flow[..., 1] - 47.5) < 44)
    assert inside.mean() > 0.3
    assert psnr(moved(there, flow)[inside], here[inside]) > psnr(there, here) + 6


def test_removing_the_blur_moves_nothing() -> None:
    """The truth is where the blurry frame is: shifting it either way only makes it fit worse."""
    clip = draw_clip([scene(1)], (96, 128), 12, 3, severity=8.0, night=False, things=0)
    worst = int(np.argmax(clip.extents()))
    frame = clip.frame(worst)
    blurry, truth = (
        cv2.GaussianBlur(cv2.cvtColor(picture.astype(np.float32), cv2.COLOR_RGB2GRAY), (0, 0), 4.0)
        for picture in (frame.blurry, frame.sharp)
    )
    shift, _ = cv2.phaseCorrelate(truth, blurry)
    assert np.hypot(*shift) < 0.5


def test_slow_moments_are_sharp_and_fast_ones_are_not() -> None:
    clip = draw_clip([scene(2)], (96, 128), 40, 11, severity=8.0, night=False, things=0)
    extents = np.array(clip.extents())
    gains = [psnr(clip.frame(int(i)).blurry, clip.frame(int(i)).sharp) for i in np.argsort(extents)[[0, 1, -2, -1]]]
    assert min(gains[:2]) > max(gains[2:]) + 3


def test_about_a_third_of_the_frames_stays_sharp() -> None:
    shares = []
    picture = scene(0)
    for seed in range(12):
        clip = draw_clip([picture], (72, 128), 40, seed, severity=16.0, things=0)
        shares.append(np.mean(np.array(clip.extents()) <= 2 * SHARP_EXTENT))
    assert 0.15 < float(np.mean(shares)) < 0.6


def test_no_hand_turns_the_phone_round_or_runs_away_with_it() -> None:
    """A long blur of a short exposure is asked for: of such draws one in hundreds was beyond all bounds."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        hand = HandShake.draw(rng)
        trajectory = shake(
            hand, rng, duration=0.35, severity=36.0, exposure=0.004, frame_interval=1 / 60, radius=288.0
        )
        roll, zoom = np.ptp(trajectory.poses[:, 2:], axis=0)
        assert roll < np.radians(45)
        assert zoom < np.log(1.6)


def test_a_hand_hardly_unsteady_for_as_long_as_a_window_lasts_is_one_like_others() -> None:
    """The speed of this one varies so slowly that beside its mean it seemed not to vary at all."""
    window = window_at([scene(0)], 64, 2, seed=71, index=1680)
    assert np.isfinite(window.flows).all()
    assert np.abs(window.flows).max() < 64


def test_same_seed_same_clip_in_any_order() -> None:
    one = draw_clip([scene(0)], (64, 64), 6, 5)
    two = draw_clip([scene(0)], (64, 64), 6, 5)
    last = two.frame(4)
    assert np.array_equal(one.frame(1).blurry, two.frame(1).blurry)
    assert np.array_equal(one.frame(4).blurry, last.blurry)
    assert not np.array_equal(one.frame(4).blurry, draw_clip([scene(0)], (64, 64), 6, 6).frame(4).blurry)


def test_night_is_noisier_than_day() -> None:
    def noise(night: bool) -> float:
        wall = np.full((90, 90, 3), 128, np.uint8)
        clips = [draw_clip([wall], (64, 64), 3, s, severity=0.01, night=night, things=0) for s in range(6)]
        frames = [clip.frame(1) for clip in clips]
        return float(np.mean([np.std(f.blurry.astype(float) - f.sharp) for f in frames]))

    assert noise(True) > 1.3 * noise(False)


def test_turning_a_window_keeps_its_flow_exact() -> None:
    photos = [scene(3), scene(4)]
    windows = [window_at(photos, 96, 2, 1, index) for index in range(4)]
    plain = to_batch(windows)
    turned = to_batch(windows, np.random.default_rng(0))
    assert not all(np.array_equal(a, b) for a, b in zip(plain[0].numpy(), turned[0].numpy(), strict=True))

    def misfit(batch: tuple) -> list[float]:
        target, sources, _, flows = (x.numpy() for x in batch)
        result = []
        for i in range(len(target)):
            flow = flows[i, 0].transpose(1, 2, 0)
            there = moved(np.ascontiguousarray(sources[i, 0].transpose(1, 2, 0)), flow)
            grey = np.abs(there.mean(-1) - target[i].mean(0))
            result.append(float(np.median(grey)))
        return result

    assert np.allclose(misfit(plain), misfit(turned), atol=0.02)


def test_gopro_shake_averages_more_frames_where_the_camera_is_faster() -> None:
    picture = scene(5, (200, 500))
    steps = [0] * 11 + [1] * 11 + [3] * 11
    positions = np.cumsum(steps)
    frames = [np.ascontiguousarray(picture[20:120, p : p + 160]) for p in positions]
    pairs = list(synthesise(frames, GoProShakeConfig(share=0.34, interpolate=1)))
    assert [pair.frames for pair in pairs] == sorted(pair.frames for pair in pairs)
    assert pairs[0].frames == 1
    assert np.array_equal(pairs[0].blurry, pairs[0].sharp)
    assert psnr(pairs[2].blurry, pairs[2].sharp) < 30
    for number, pair in enumerate(pairs):
        assert np.array_equal(pair.sharp, frames[11 * number + 5])
        around = pair.frames // 2
        run = frames[11 * number + 5 - around : 11 * number + 5 + around + 1]
        assert np.array_equal(pair.blurry, average(run, interpolate=1))


def test_gopro_shake_holds_few_frames_of_a_long_video() -> None:
    picture = scene(5, (80, 400))
    alive: set[int] = set()
    most = 0

    class Video:
        """Makes its frames whenever they are gone through."""

        def __iter__(self) -> Iterator[np.ndarray]:
            nonlocal most
            for number in range(110):
                frame = np.ascontiguousarray(picture[:, number : number + 100])
                alive.add(number)
                weakref.finalize(frame, alive.discard, number)
                most = max(most, len(alive))
                yield frame
                del frame

    assert sum(1 for _ in synthesise(Video(), GoProShakeConfig(interpolate=0))) == 10
    assert most <= 2 * 11 + 1


def test_movement_is_the_cameras_shift() -> None:
    picture = scene(6, (200, 300))
    assert movement(picture[10:150, 10:200], picture[10:150, 10:200]) < 0.1
    assert movement(picture[10:150, 10:200], picture[13:153, 14:204]) == pytest.approx(5.0, abs=0.5)
    turn = cv2.getRotationMatrix2D((150, 100), 2.0, 1.0)
    rolled = cv2.warpAffine(picture, turn, (300, 200), flags=cv2.INTER_CUBIC)
    assert movement(picture[30:170, 55:245], rolled[30:170, 55:245]) == pytest.approx(
        np.radians(2.0) * 0.25 * (140 + 190), abs=0.5
    )


def test_runs_are_odd_and_never_longer_than_the_window() -> None:
    lengths = run_lengths([0.1, 0.1, 0.3, 0.9, 9.0], GoProShakeConfig(window=11))
    assert all(length % 2 == 1 and 1 <= length <= 11 for length in lengths)
    assert lengths[0] == 1
    assert lengths[-1] == 11


def test_a_third_of_the_windows_stays_sharp_however_the_camera_moves() -> None:
    rng = np.random.default_rng(0)
    movements = {
        "even": rng.uniform(0, 10, 300),
        "calm with outbursts": np.exp(1.2 * rng.standard_normal(300)),
        "a walk": rng.rayleigh(2, 300),
        "never at rest": rng.uniform(3, 5, 300),
    }
    for name, distances in movements.items():
        lengths = np.array(run_lengths([float(each) for each in distances], GoProShakeConfig(window=11)))
        assert (lengths == 1).mean() == pytest.approx(0.33, abs=0.01), name
        assert distances[lengths == 1].max() < distances[lengths > 1].min(), name
        # Proportional: the nearest odd number to the movement, 2 being where it is no longer 1.
        ratio = distances / np.quantile(distances, 0.33)
        assert np.abs(lengths - 2 * ratio)[lengths < 11].max() <= 1.01, name


def test_between_two_frames_there_are_such_on_the_way() -> None:
    picture = scene(6, (160, 260))
    ends = [np.ascontiguousarray(picture[20:140, left : left + 200]) for left in (20, 28)]
    whole_way = [np.ascontiguousarray(picture[20:140, left : left + 200]) for left in range(20, 29)]
    truth = average(whole_way, interpolate=0)[20:-20, 20:-20]
    assert psnr(average(ends, interpolate=7)[20:-20, 20:-20], truth) > 35
    assert psnr(average(ends, interpolate=0)[20:-20, 20:-20], truth) < 28


def test_averaging_happens_in_linear_light() -> None:
    black, white = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    grey = average([black, white], interpolate=0)
    assert abs(int(grey[0, 0, 0]) - 186) <= 1
