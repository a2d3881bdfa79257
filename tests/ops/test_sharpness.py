"""Variance of the Laplacian: the fast way equals the written-out one and OpenCV on the 8-bit picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from selfhvd_cli.ops.sharpness import sharpness


def test_both_ways_agree_with_opencv_on_code_values() -> None:
    generator = np.random.default_rng(5)
    pictures = generator.integers(0, 256, (3, 37, 52, 3), dtype=np.uint8)
    pictures[1] = cv2.GaussianBlur(pictures[1], (0, 0), 2)
    expected = []
    for picture in pictures:
        grey = picture.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
        expected.append(cv2.Laplacian(grey, cv2.CV_64F).var())
    frames = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    assert sharpness(frames).tolist() == pytest.approx(expected, rel=1e-5)
    assert sharpness(frames.requires_grad_()).tolist() == pytest.approx(expected, rel=1e-5)


def test_no_frames_give_no_scores() -> None:
    assert sharpness(torch.zeros(0, 3, 8, 8)).shape == (0,)
