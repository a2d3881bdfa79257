"""Pictures for the tests of the guard, what is done to them, and what must hold of every answer."""

from __future__ import annotations

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.ops.sharpness import gray, sharpness
from selfhvd_cli.restore.displacement import displacements
from selfhvd_cli.restore.guard import Verdict, guard
from selfhvd_cli.restore.light import NOISE, Light


@cache
def leaves(seed: int, height: int = 216, width: int = 260) -> Tensor:
    """Discs and boxes of random colours over one another, sizes as in nature (dead leaves): `[3, H, W]`."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.arange(height * 2.0).view(-1, 1), torch.arange(width * 2.0)
    picture = torch.full((3, height * 2, width * 2), 0.5)
    for _ in range(350):
        u = torch.rand(7, generator=generator)
        size = 6.0 / (0.03 + float(u[0]) ** 0.7)
        dx, dy = (x - u[1] * 2 * width).abs(), (y - u[2] * 2 * height).abs()
        rows, columns = (dy < size).squeeze(1).nonzero(), (dx < size).nonzero()
        if not len(rows) or not len(columns):
            continue
        part = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        dx, dy = dx[part[1]], dy[part[0]]
        inside = (dx.square() + dy.square() < size**2) if u[3] < 0.5 else (dy < size * 0.6).expand(-1, len(dx))
        patch = picture[:, part[0], part[1]]
        patch.copy_(torch.where(inside, 0.1 + 0.8 * u[4:].view(3, 1, 1), patch))
    return F.avg_pool2d(picture.unsqueeze(0), 2)[0]


def moved(picture: Tensor, dx: float, dy: float = 0.0) -> Tensor:
    """The picture displaced by a part of a pixel or more, exactly (in the frequency domain, edges mirrored)."""
    wide = F.pad(picture.unsqueeze(0), (16,) * 4, mode="reflect")[0]
    phase = torch.fft.fftfreq(wide.shape[-2]).view(-1, 1) * dy + torch.fft.fftfreq(wide.shape[-1]) * dx
    return torch.fft.ifft2(torch.fft.fft2(wide) * torch.exp(-2j * math.pi * phase)).real[:, 16:-16, 16:-16]


def shaken(picture: Tensor, length: int, seed: int = 0) -> Tensor:
    """The picture blurred by a straight motion of odd `length` pixels in linear light, with a little noise, 8 bit."""
    light = picture.clamp(0, 1).pow(2.2)
    kernel = torch.eye(length).flip(0) if seed % 2 else F.one_hot(torch.full((length,), length // 2), length).T
    kernel = (kernel / kernel.sum()).view(1, 1, length, length).float()
    blurred = F.conv2d(F.pad(light.unsqueeze(1), (length // 2,) * 4, mode="reflect"), kernel).squeeze(1).pow(1 / 2.2)
    return noisy(blurred, seed)


def noisy(picture: Tensor, seed: int, sigma: float = 1.5) -> Tensor:
    noise = torch.randn(picture.shape, generator=torch.Generator().manual_seed(seed)) * sigma / 255
    return ((picture + noise).clamp(0, 1) * 255).round() / 255


def unsharp(picture: Tensor, amount: float) -> Tensor:
    low = F.avg_pool2d(F.pad(picture.unsqueeze(0), (2,) * 4, mode="reflect"), 5, stride=1)[0]
    return picture + amount * (picture - low)


def kept(frame: Tensor, restored: Tensor, result: Tensor) -> float:
    """Share of the change that came through: its projection on the change that was asked for."""
    change = restored.clamp(0, 1) - frame
    return float(((result - frame) * change).sum() / change.square().sum())


def distance(a: Tensor, b: Tensor) -> float:
    """Mean displacement in pixels, measured at the full scale on squared (nearly linear) values."""
    noise = torch.full((1, 1, 1, 1), NOISE)
    found = displacements(*(Light(gray(p).square()[None], torch.zeros(1, 1, *p.shape[1:]), noise) for p in (a, b)))
    return float(found.whole.norm())


def psnr(a: Tensor, b: Tensor) -> float:
    return -10 * float((a - b).square().mean().log10())


def judged(frame: Tensor, restored: Tensor, strength: float = 1.0) -> tuple[Tensor, Verdict]:
    """The guard's answer, with what must hold of every answer."""
    result, verdict = guard(frame, restored, strength)
    assert result.shape == frame.shape
    assert torch.isfinite(result).all()
    assert result.min() >= 0
    assert result.max() <= 1
    before, after = sharpness(torch.stack([frame, result])).tolist()
    assert after >= before * 0.999
    if verdict.strength == 0:
        assert torch.equal(result, frame)
        assert verdict.reason
    return result, verdict
