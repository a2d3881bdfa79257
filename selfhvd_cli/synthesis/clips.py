"""Whole handheld clips from photographs: recorded frames, sharp truth, blur lengths and exact flow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from selfhvd_cli.synthesis.recorded_shake import RotationLog, recorded_shake
from selfhvd_cli.synthesis.render import Array, Camera, Renderer
from selfhvd_cli.synthesis.scene import draw_scene
from selfhvd_cli.synthesis.sensor import Sensor
from selfhvd_cli.synthesis.shake import HandShake, shake
from selfhvd_cli.synthesis.windows import Bytes

SHARP_EXTENT = 1.5
"""Blur in pixels up to which a frame counts as sharp: an eye at the screen sees no more of it."""


@dataclass(frozen=True)
class ShakenFrame:
    """One frame of a synthetic clip."""

    blurry: Bytes
    """`[H, W, 3]`: as the phone recorded it."""

    sharp: Bytes
    """`[H, W, 3]`: without blur, noise and compression."""

    extent: float
    """Length of its blur in pixels."""


@dataclass(frozen=True)
class HandheldClip:
    """A synthetic clip, rendered frame by frame as it is asked for."""

    renderer: Renderer
    """Scene, trajectory and camera."""

    sensor: Sensor
    """What happens between light and file."""

    frames: int
    """Number of frames."""

    seed: int
    """Decides the noise: a frame is the same whenever it is asked for."""

    def frame(self, number: int) -> ShakenFrame:
        """Render frame `number`, from 0."""
        rng = np.random.default_rng((self.seed, number))
        return ShakenFrame(
            self.sensor.record(self.renderer.blurry(number), rng),
            self.sensor.ideal(self.renderer.sharp(number)),
            self.renderer.extent(number),
        )

    def flow(self, source: int, target: int) -> Array:
        """`[H, W, 2]`: exact flow between two sharp frames, (dx, dy) in pixels."""
        return self.renderer.flow(source, target)

    def extents(self) -> list[float]:
        """Length of every frame's blur in pixels."""
        return [self.renderer.extent(number) for number in range(self.frames)]


def draw_clip(
    photos: list[Bytes],
    size: tuple[int, int],
    frames: int,
    seed: int,
    *,
    severity: float | None = None,
    night: bool | None = None,
    frame_interval: float = 1 / 30,
    things: int | None = None,
    motion: RotationLog | None = None,
    softness: float = 0.0,
) -> HandheldClip:
    """Draw one clip; the same seed gives the same clip.

    Args:
        photos: `[h, w, 3]` 8-bit RGB; the first is the backdrop, moving things are cut from the others.
        size: height and width in pixels.
        frames: number of frames.
        seed: source of all randomness.
        severity: 90th percentile of the blur lengths in pixels; by default between 0.8 and 3 % of the height.
        night: force a noisy sensor, or a quiet one; by default a quarter of the clips is noisy.
        frame_interval: seconds between frames.
        things: number of moving things; by default none, one or two.
        motion: rotations of a real hand, of which a stretch is used; by default the hand is drawn, too.
        softness: blur of the scene itself, see `draw_scene`.
    """
    rng = np.random.default_rng(seed)
    height, width = size
    if severity is None:
        severity = float(np.exp(rng.uniform(np.log(0.008), np.log(0.03)))) * height
    exposure = float(rng.uniform(0.35, 0.95)) * frame_interval
    hand = HandShake.draw(rng)
    duration, radius = frames * frame_interval, 0.25 * (height + width)
    lengths = {"severity": severity, "exposure": exposure, "frame_interval": frame_interval, "radius": radius}
    if motion is None:
        trajectory = shake(hand, rng, duration=duration, **lengths)
    else:
        trajectory = recorded_shake(motion, rng, duration=duration, **lengths)
    count = int(rng.choice([0, 1, 2])) if things is None else things
    others = photos[1:] or photos
    cutouts = [others[int(rng.integers(len(others)))] for _ in range(count)]
    scene = draw_scene(photos[0], cutouts, size, rng, softness)
    camera = Camera(height, width, exposure, frame_interval, float(rng.uniform(0, 0.5)) * frame_interval)
    return HandheldClip(Renderer(scene, trajectory, camera), Sensor.draw(rng, night), frames, seed)
