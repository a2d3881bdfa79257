"""Sharp-frame selection: Otsu against the definition and OpenCV, segments, the nearest sharp frame."""

from __future__ import annotations

import random

import cv2
import numpy as np
import pytest

from selfhvd_cli.training.sharpness import find_sharp_frames, otsu_threshold


def test_otsu_maximises_the_variance_between_the_classes() -> None:
    generator = random.Random(3)
    for _ in range(50):
        scores = [generator.lognormvariate(3, 0.8) for _ in range(generator.randint(2, 60))]
        threshold = otsu_threshold(scores)

        def between(value: float, scores: list[float] = scores) -> float:
            low = [s for s in scores if s <= value]
            high = [s for s in scores if s > value]
            if not low or not high:
                return 0.0
            return len(low) * len(high) * (np.mean(low) - np.mean(high)) ** 2

        assert between(threshold) == pytest.approx(max(between(value) for value in scores), rel=1e-9)


def test_otsu_agrees_with_opencv_on_code_values() -> None:
    generator = np.random.default_rng(1)
    for _ in range(20):
        codes = np.concatenate([generator.normal(60, 12, 300), generator.normal(150, 20, 200)])
        codes = codes.round().clip(0, 255).astype(np.uint8)
        expected, _ = cv2.threshold(codes.reshape(1, -1), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
        ours = otsu_threshold(codes.astype(float).tolist())
        assert ((codes > ours) == (codes > expected)).all()


def test_a_clip_of_two_kinds_of_frames_is_split_between_them() -> None:
    scores = [20.0, 22.0, 90.0, 21.0, 95.0, 19.0, 88.0, 23.0]
    sharp = find_sharp_frames(scores)
    assert sharp.indices == (2, 4, 6)
    assert 23.0 < sharp.threshold < 88.0
    assert sharp.separation > 0.99


def test_a_segment_without_a_sharp_frame_gives_its_sharpest() -> None:
    scores = [100.0] * 20 + [10.0, 12.0, 30.0, 11.0] + [10.0] * 16 + [15.0, 9.0]
    sharp = find_sharp_frames(scores)
    assert sharp.indices == (*range(20), 22, 40)
    assert sharp.above == tuple(range(20))
    shorter = find_sharp_frames(scores, segment=10)
    assert shorter.indices == (*range(20), 22, 30, 40)


def test_nearest_is_closest_in_time_and_the_sharper_of_two() -> None:
    sharp = find_sharp_frames([90.0, 1.0, 1.0, 1.0, 99.0, 2.0, 1.0, 95.0])
    assert sharp.indices == (0, 4, 7)
    assert [sharp.nearest(frame) for frame in range(8)] == [0, 0, 4, 4, 4, 4, 7, 7]
    with pytest.raises(IndexError, match="8 frames"):
        sharp.nearest(8)


@pytest.mark.parametrize("scores", [[5.0], [7.0] * 45, [0.0, 0.0]])
def test_clips_without_contrast_still_give_a_frame_a_segment(scores: list[float]) -> None:
    sharp = find_sharp_frames(scores)
    assert sharp.above == ()
    assert len(sharp.indices) == len(list(sharp.segments()))
    assert sharp.separation == 0.0
    assert sharp.nearest(len(scores) - 1) in sharp.indices


def test_neighbouring_floats_are_still_split() -> None:
    low = float(np.nextafter(1.0, 2.0))
    for _ in range(2):  # midway rounds down onto one and up onto the other
        high = float(np.nextafter(low, 2.0))
        assert find_sharp_frames([low, high]).above == (1,)
        low = high


@pytest.mark.parametrize("scores", [[], [1.0, float("nan")], [float("inf")]])
def test_scores_that_are_none_are_refused(scores: list[float]) -> None:
    with pytest.raises(ValueError, match="finite scores"):
        find_sharp_frames(scores)


def test_a_sharp_frame_of_a_plain_scene_counts_as_sharp() -> None:
    """The view wanders from foliage to a wall whose sharp frames score below the blurred ones before."""
    foliage = [200.0, 95.0] * 20
    wall = [90.0, 20.0] * 20
    sharp = find_sharp_frames(foliage + wall)
    assert {index for index in sharp.indices if index >= 60} == {index for index in range(60, 80) if index % 2 == 0}
    assert {index for index in sharp.indices if index < 20} == {index for index in range(20) if index % 2 == 0}
