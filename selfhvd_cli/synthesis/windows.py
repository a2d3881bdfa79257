"""Training windows: one blurry frame, the frames that can help it, its sharp truth and the exact flows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selfhvd_cli.ops.source_frames import REACH, choose_sources
from selfhvd_cli.synthesis.render import Camera, Renderer
from selfhvd_cli.synthesis.scene import draw_scene
from selfhvd_cli.synthesis.sensor import Sensor
from selfhvd_cli.synthesis.shake import HandShake, shake

Bytes = NDArray[np.uint8]

SOFT_SHARE = 0.65
"""Of the windows show scenes as soft as videos are. Trained on crisp ones alone, the network doubled the sharpness of
soft frames that had not moved at all, at a cost of 5 dB."""

SOFTNESS = (0.3, 1.6)
"""Their blur by lens, demosaicking and scaling: standard deviation in pixels."""


@dataclass(frozen=True)
class Window:
    """One supervised example."""

    target: Bytes
    """`[H, W, 3]`: the frame to restore."""

    sources: Bytes
    """`[K, H, W, 3]`: recorded frames around it, best first."""

    sharp: Bytes
    """`[H, W, 3]`: the target without blur, noise and compression."""

    flows: NDArray[np.float16]
    """`[K, H, W, 2]`: exact flow from the target to each source, (dx, dy) in pixels."""


def draw_window(photos: list[Bytes], size: int, count: int, rng: np.random.Generator, ease: float = 0.0) -> Window:
    """Synthesise one window.

    Args:
        photos: photographs, `[h, w, 3]` 8-bit RGB; the backdrop and the moving things come from them.
        size: height and width of the frames in pixels.
        count: number of sources.
        rng: source of randomness.
        ease: 0 draws the full range of shakes, towards 1 only gentle ones (for the first steps of a training).
    """
    interval = 1.0 / float(rng.choice([24.0, 30.0, 30.0, 30.0, 60.0]))
    exposure = float(rng.uniform(0.25, 1.0)) * interval
    severity = float(np.exp(rng.uniform(np.log(2.5), np.log(36.0 * (1.0 - ease) + 4.0 * ease))))
    frames = 2 * REACH + 1
    trajectory = shake(
        HandShake.draw(rng),
        rng,
        duration=frames * interval,
        severity=severity,
        exposure=exposure,
        frame_interval=interval,
        radius=1.5 * size,
    )
    camera = Camera(size, size, exposure, interval, float(rng.uniform(0, 0.6)) * interval * size / 1080.0)
    things = [photos[int(rng.integers(len(photos)))] for _ in range(int(rng.choice([0, 0, 1, 2])))]
    backdrop = photos[int(rng.integers(len(photos)))]
    softness = float(rng.uniform(*SOFTNESS)) if rng.random() < SOFT_SHARE else 0.0
    scene = draw_scene(backdrop, things, (size, size), rng, softness)
    renderer = Renderer(scene, trajectory, camera)
    target = int(rng.integers(REACH // 2, frames - REACH // 2)) if rng.random() < 0.8 else int(rng.integers(frames))
    chosen = choose_sources(_measured_sharpness(renderer, target, rng), target, count)
    sensor = Sensor.draw(rng)
    return Window(
        target=sensor.record(renderer.blurry(target), rng),
        sources=np.stack([sensor.record(renderer.blurry(frame), rng) for frame in chosen]),
        sharp=sensor.ideal(renderer.sharp(target)),
        flows=np.stack([renderer.flow(target, frame) for frame in chosen]).astype(np.float16),
    )


def _measured_sharpness(renderer: Renderer, target: int, rng: np.random.Generator) -> list[float]:
    """What the Laplacian would say of each frame, from its blur's length, with the scatter such a measure has.

    Frames that moved out of the crop are of no use in a small window, unlike in a whole frame: they count as blurred.
    """
    camera, frames = renderer.camera, 2 * REACH + 1
    poses = renderer.trajectory.at(np.arange(frames, dtype=np.float64) * camera.frame_interval)
    away = np.hypot(*(poses[:, :2] - poses[target, :2]).T) / camera.width
    scatter = np.exp(0.3 * rng.standard_normal(frames))
    return [
        float(scatter[i] / (0.3 + renderer.extent(i)) ** 2 * (0.02 if away[i] > 0.4 else 1.0)) for i in range(frames)
    ]
