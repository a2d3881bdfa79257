"""Sensor and phone pipeline: noise, gamma, denoising, sharpening halos and compression of a rendered frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from selfhvd_cli.synthesis.scene import GAMMA

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Sensor:
    """What happens between light and file, the same for all frames of a clip."""

    shot_noise: float = 0.0
    """Variance of the noise per unit of linear light."""

    read_noise: float = 0.0
    """Standard deviation of the noise in the dark, linear light."""

    smoothing: float = 0.0
    """Gaussian blur of the pipeline's denoiser in pixels; it also correlates the noise that stays."""

    sharpening: float = 0.0
    """Amount of unsharp masking; above about 0.5 it leaves halos."""

    quality: int | None = None
    """JPEG quality standing in for the codec's quantisation, 4:2:0; None does not compress."""

    @staticmethod
    def draw(rng: np.random.Generator, night: bool | None = None) -> Sensor:
        """A random phone by day, or by night (about a quarter of the draws)."""
        dark = rng.random() < 0.25 if night is None else night
        low, high = (np.log(3e-4), np.log(4e-3)) if dark else (np.log(5e-6), np.log(4e-4))
        shot = float(np.exp(rng.uniform(low, high)))
        return Sensor(
            shot_noise=shot,
            read_noise=float(np.sqrt(shot) * rng.uniform(0.02, 0.15)),
            smoothing=float(rng.uniform(0.4, 0.9)) if rng.random() < 0.6 else 0.0,
            sharpening=float(rng.uniform(0.2, 1.0)) if rng.random() < 0.5 else 0.0,
            quality=int(rng.uniform(55, 96)) if rng.random() < 0.85 else None,
        )

    def record(self, linear: Array, rng: np.random.Generator) -> NDArray[np.uint8]:
        """`[H, W, 3]` 8-bit RGB of a frame in linear light, with noise and compression."""
        noise = rng.standard_normal(linear.shape, dtype=np.float32)
        light = linear + noise * np.sqrt(self.shot_noise * linear + self.read_noise**2)
        if self.smoothing:
            light = np.asarray(cv2.GaussianBlur(light, (0, 0), self.smoothing), np.float32)
        code = self._finish(light)
        if self.quality is None:
            return code
        ok, data = cv2.imencode(".jpg", code[:, :, ::-1], (cv2.IMWRITE_JPEG_QUALITY, self.quality))
        assert ok
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
        return np.ascontiguousarray(np.asarray(decoded)[:, :, ::-1], dtype=np.uint8)

    def ideal(self, linear: Array) -> NDArray[np.uint8]:
        """What the same pipeline gives without noise, denoising and compression: the ground truth."""
        return self._finish(linear)

    def _finish(self, linear: Array) -> NDArray[np.uint8]:
        code = np.clip(linear, 0.0, 1.0) ** np.float32(1.0 / GAMMA)
        if self.sharpening:
            code = code + self.sharpening * (code - cv2.GaussianBlur(code, (0, 0), 1.0))
        return np.round(np.clip(code, 0.0, 1.0) * 255.0).astype(np.uint8)
