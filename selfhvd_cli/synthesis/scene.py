"""Scene: a photograph as backdrop and cut-outs that move in front of it, in linear light."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

GAMMA = 2.2
"""Between the picture's code values and linear light, as in the paper's synthesis."""


@dataclass(frozen=True)
class Layer:
    """One flat thing in the scene."""

    picture: Array
    """`[h, w, 3]`, linear light."""

    alpha: Array | None
    """`[h, w]` in [0, 1], or None where the layer covers everything (the backdrop)."""

    origin: tuple[float, float]
    """Where, in the layer's own pixels, the centre of the frame looks at time 0 and pose 0."""

    parallax: float = 1.0
    """How much the camera's translation moves it; things nearer than the backdrop have more than 1."""

    velocity: tuple[float, float] = (0.0, 0.0)
    """Own motion of the thing in pixels a second."""

    def offset(self, time: Array) -> tuple[Array, Array]:
        """Layer position that the frame's centre sees at the given times."""
        x = self.origin[0] - self.velocity[0] * time
        y = self.origin[1] - self.velocity[1] * time
        return x, y


@dataclass(frozen=True)
class Scene:
    """Layers from back to front; the first covers everything."""

    layers: tuple[Layer, ...]


def to_linear(code: NDArray[np.uint8] | Array) -> Array:
    """Linear light in [0, 1] from 8-bit code values."""
    return ((np.asarray(code, dtype=np.float32) / 255.0) ** GAMMA).astype(np.float32)


def draw_scene(
    backdrop: NDArray[np.uint8],
    cutouts: list[NDArray[np.uint8]],
    size: tuple[int, int],
    rng: np.random.Generator,
    softness: float = 0.0,
) -> Scene:
    """Place the camera somewhere over `backdrop` and let pieces of `cutouts` drift in front of it.

    Args:
        backdrop: `[h, w, 3]`, 8-bit RGB photograph.
        cutouts: photographs to cut moving things from; one thing each.
        size: height and width of the frames in pixels.
        rng: source of randomness.
        softness: standard deviation, in pixels, of what lens, demosaicking and scaling blur in every frame, the truth
            included. Photographs that were shrunk are crisper than any video.
    """
    height, width = size
    photo = _softened(_rescaled(backdrop, size, rng), softness)
    h, w = photo.shape[:2]
    x = rng.uniform(width / 2, max(w - width / 2, width / 2 + 1))
    y = rng.uniform(height / 2, max(h - height / 2, height / 2 + 1))
    exposure = float(np.exp(rng.uniform(np.log(0.25), np.log(1.3))))
    lights = float(rng.uniform(1.0, 6.0)) if rng.random() < 0.4 else 1.0
    layers = [Layer(_lit(photo, exposure, lights), None, (x, y))]
    layers += [_draw_cutout(_softened(photo, softness), exposure, size, rng) for photo in cutouts]
    return Scene(tuple(layers))


def _rescaled(photo: NDArray[np.uint8], size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Shrink a photograph at random: smaller is sharper, and scenes differ in scale."""
    smallest = 1.15 * max(size[0] / photo.shape[0], size[1] / photo.shape[1])
    scale = rng.uniform(0.5, 1.0)
    scale = max(scale, min(smallest, 1.0))
    if smallest > 1.0:
        scale = smallest
    method = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC
    resized = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=method)
    if rng.random() < 0.5:
        resized = resized[:, ::-1]
    return np.ascontiguousarray(resized, dtype=np.uint8)


def _softened(photo: NDArray[np.uint8], softness: float) -> NDArray[np.uint8]:
    return np.asarray(cv2.GaussianBlur(photo, (0, 0), softness), np.uint8) if softness > 0.0 else photo


def _lit(photo: NDArray[np.uint8], exposure: float, lights: float) -> Array:
    """Linear light at an exposure; above `lights` 1, near-white areas become lamps that outshine the sensor."""
    linear = to_linear(photo)
    if lights > 1.0:
        white = np.clip((linear.min(axis=2, keepdims=True) - 0.8) / 0.2, 0.0, 1.0)
        linear = linear * (1.0 + (lights - 1.0) * white)
    return (linear * exposure).astype(np.float32)


def _draw_cutout(photo: NDArray[np.uint8], exposure: float, size: tuple[int, int], rng: np.random.Generator) -> Layer:
    """A blob of a photograph with soft edges, at a random place in the frame, moving on its own."""
    height, width = size
    side = int(rng.uniform(0.2, 0.55) * min(size))
    side = max(16, min(side, min(photo.shape[:2]) - 1))
    top = int(rng.integers(0, photo.shape[0] - side))
    left = int(rng.integers(0, photo.shape[1] - side))
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    radii = 0.44 * side * (1.0 + 0.25 * np.cumsum(rng.standard_normal(24)) / 5.0).clip(0.35, 1.0)
    points = np.stack((side / 2 + radii * np.cos(angles), side / 2 + radii * np.sin(angles)), axis=1)
    mask = np.zeros((side, side), np.float32)
    cv2.fillPoly(mask, [np.round(points).astype(np.int32)], 1.0)
    alpha = cv2.GaussianBlur(mask, (0, 0), 0.8)
    centre_x = side / 2 - rng.uniform(-0.45, 0.45) * width
    centre_y = side / 2 - rng.uniform(-0.45, 0.45) * height
    speed = float(rng.exponential(60.0))
    angle = rng.uniform(0, 2 * np.pi)
    return Layer(
        _lit(np.ascontiguousarray(photo[top : top + side, left : left + side]), exposure, 1.0),
        np.asarray(alpha, dtype=np.float32),
        (float(centre_x), float(centre_y)),
        parallax=float(rng.uniform(1.0, 1.3)),
        velocity=(speed * float(np.cos(angle)), speed * float(np.sin(angle))),
    )
