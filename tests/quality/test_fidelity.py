"""PSNR and SSIM against implementations written out from their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from made_clips import texture
from numpy.typing import NDArray

from selfhvd_cli.quality.fidelity import psnr, ssim


def pair(noise: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    clean = torch.from_numpy(texture(40, 31, seed)).permute(2, 0, 1).float() / 255
    generator = torch.Generator().manual_seed(seed)
    return (clean + noise * torch.randn(clean.shape, generator=generator)).clamp(0, 1), clean


def written_out_psnr(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    total = math.fsum((float(x) - float(y)) ** 2 for x, y in zip(a.ravel(), b.ravel(), strict=True))
    return 10 * math.log10(1.0 / (total / a.size))


def written_out_ssim(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Window by window, with the weights of the two-dimensional Gaussian."""
    offsets = np.arange(11) - 5
    weights = np.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    values = []
    for x, y in zip(a.astype(np.float64), b.astype(np.float64), strict=True):
        for row in range(x.shape[0] - 10):
            for column in range(x.shape[1] - 10):
                one, other = x[row : row + 11, column : column + 11], y[row : row + 11, column : column + 11]
                mx, my = (weights * one).sum(), (weights * other).sum()
                vx, vy = (weights * (one - mx) ** 2).sum(), (weights * (other - my) ** 2).sum()
                cov = (weights * (one - mx) * (other - my)).sum()
                values.append((2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4)))
    return float(np.mean(values))


@pytest.mark.parametrize("noise", [0.002, 0.05, 0.5])
def test_both_equal_their_definitions(noise: float) -> None:
    picture, reference = pair(noise)
    assert psnr(picture, reference) == pytest.approx(written_out_psnr(picture.numpy(), reference.numpy()), abs=1e-4)
    assert ssim(picture, reference) == pytest.approx(written_out_ssim(picture.numpy(), reference.numpy()), abs=1e-6)


def test_equal_pictures() -> None:
    _, picture = pair(0)
    assert psnr(picture, picture) == math.inf
    assert ssim(picture, picture) == pytest.approx(1.0, abs=1e-12)


def test_a_flat_picture_far_from_its_reference() -> None:
    black, white = torch.zeros(3, 16, 16), torch.ones(3, 16, 16)
    assert psnr(black, white) == pytest.approx(0.0)
    assert ssim(black, white) == pytest.approx(1e-4 / (1 + 1e-4), rel=1e-6)
