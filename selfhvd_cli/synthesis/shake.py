"""Hand shake: camera trajectories whose speed varies, so that some moments are sharp and others are not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RATE = 480.0
"""Samples a second at which trajectories are stored; tremor ends near 15 Hz, so linear interpolation will do."""

MARGIN = 0.25
"""Seconds that a trajectory has beyond both ends of its clip."""


MOST_ROLL, MOST_ZOOM = 0.6, 0.4
"""Radians and log of the zoom between the extremes of a trajectory: no hand does more. A long blur of a short
exposure would ask for it: one window in 5000 was turned by 2 rad and shrunk to a hundredth, its flow endless."""


@dataclass(frozen=True)
class Trajectory:
    """Camera pose over time; between samples it is linear."""

    start: float
    """Time of the first sample in seconds."""

    poses: Array
    """`[N, 4]`: x and y in pixels of the frame, roll in radians, log of the zoom; sampled at `RATE`."""

    def at(self, time: Array | float) -> Array:
        """Poses `[..., 4]` at the given times in seconds, held constant outside the stored span."""
        position = (np.asarray(time, dtype=np.float64) - self.start) * RATE
        position = np.clip(position, 0.0, len(self.poses) - 1.000001)
        index = position.astype(np.int64)
        weight = (position - index)[..., None]
        after = np.minimum(index + 1, len(self.poses) - 1)
        return self.poses[index] * (1.0 - weight) + self.poses[after] * weight

    def extent(self, time: float, exposure: float, radius: float) -> float:
        """Length in pixels of the blur of an exposure centred at `time`, for a point `radius` px from the centre."""
        samples = self.at(np.linspace(time - exposure / 2, time + exposure / 2, 17))
        steps = np.abs(np.diff(samples, axis=0))
        return float((np.hypot(steps[:, 0], steps[:, 1]) + radius * (steps[:, 2] + steps[:, 3])).sum())


@dataclass(frozen=True)
class HandShake:
    """What kind of hand holds the camera: the shape of its motion, before it is scaled to a severity."""

    tremor: float = 1.0
    """Strength of the 8–12 Hz tremor, relative to the slow sway."""

    walking: float = 0.0
    """Strength of the steps at 1.4–2.2 Hz and their harmonics; 0 is a standing person."""

    unsteadiness: float = 1.2
    """Standard deviation of the log of the speed: 0 shakes evenly, 1.2 leaves about a third of the frames sharp."""

    pan: float = 0.0
    """Steady panning in pixels a second, on top of the shake."""

    @staticmethod
    def draw(rng: np.random.Generator) -> HandShake:
        """A random hand."""
        return HandShake(
            tremor=float(rng.uniform(0.3, 1.5)),
            walking=float(rng.uniform(0.5, 2.0)) if rng.random() < 0.35 else 0.0,
            unsteadiness=float(rng.uniform(0.8, 1.5)),
            pan=float(rng.uniform(0.0, 120.0)) if rng.random() < 0.3 else 0.0,
        )


def shake(
    hand: HandShake,
    rng: np.random.Generator,
    *,
    duration: float,
    severity: float,
    exposure: float,
    frame_interval: float,
    radius: float = 100.0,
) -> Trajectory:
    """Draw one trajectory.

    The velocity is band-limited noise (slow sway, steps, tremor) times a slowly varying log-normal envelope;
    integrated, it gives the pose.

    Args:
        hand: the shape of the motion.
        rng: source of randomness.
        duration: length in seconds.
        severity: 90th percentile over the frames of the blur's length, in pixels.
        exposure: exposure time of a frame in seconds.
        frame_interval: time between frames in seconds.
        radius: half the picture's size in pixels, at which roll and zoom are felt.
    """
    count = int((duration + 2 * MARGIN) * RATE)
    envelope = np.exp(hand.unsteadiness * _smooth_noise(rng, count, float(rng.uniform(0.08, 0.3))))
    velocity = np.stack([_hand_noise(hand, rng, count) for _ in range(4)], axis=1) * envelope[:, None]
    velocity[:, :2] *= rng.uniform(0.4, 1.0, 2)
    velocity[:, 2:] *= rng.uniform(0.0, 0.5, 2) * (0.6, 0.25) / max(radius, 1.0)
    poses = np.cumsum(velocity, axis=0) / RATE
    poses = scaled(poses, duration, severity, exposure, frame_interval, radius).poses
    if hand.pan:
        angle = rng.uniform(0, 2 * np.pi)
        seconds = np.arange(count) / RATE
        poses[:, 0] += hand.pan * np.cos(angle) * seconds
        poses[:, 1] += hand.pan * np.sin(angle) * seconds
    return Trajectory(-MARGIN, poses)


def scaled(
    poses: Array, duration: float, severity: float, exposure: float, frame_interval: float, radius: float
) -> Trajectory:
    """The trajectory of `poses` `[N, 4]`, made as large as makes its blurs as long as `severity` says.

    Roll and zoom stay within `MOST_ROLL` and `MOST_ZOOM`.
    """
    trajectory = Trajectory(-MARGIN, poses)
    times = np.arange(0.0, duration, frame_interval)
    extents = [trajectory.extent(float(t), exposure, radius) for t in times]
    large = poses * (severity / max(float(np.quantile(extents, 0.9)), 1e-9))
    excursions = np.ptp(large[:, 2:], axis=0)
    large[:, 2:] *= np.minimum(1.0, (MOST_ROLL, MOST_ZOOM) / np.maximum(excursions, 1e-9))
    return Trajectory(-MARGIN, large)


def _hand_noise(hand: HandShake, rng: np.random.Generator, count: int) -> Array:
    """Velocity noise with a hand's spectrum: sway below 3 Hz, steps if walking, tremor at 8–12 Hz."""
    frequency = np.fft.rfftfreq(count, 1.0 / RATE)
    sway = 1.0 / (1.0 + (frequency / 2.5) ** 2)
    tremor = 0.5 * hand.tremor * np.exp(-(((frequency - rng.uniform(8.0, 12.0)) / 1.8) ** 2))
    amplitude = sway + tremor
    if hand.walking:
        pace = rng.uniform(1.4, 2.2)
        for harmonic, strength in ((1, 1.0), (2, 0.7), (3, 0.3)):
            amplitude += hand.walking * strength * np.exp(-(((frequency - harmonic * pace) / 0.25) ** 2))
    spectrum = amplitude * (rng.standard_normal(len(frequency)) + 1j * rng.standard_normal(len(frequency)))
    noise = np.fft.irfft(spectrum, count)
    return noise / max(float(noise.std()), 1e-12)


def _smooth_noise(rng: np.random.Generator, count: int, correlation: float) -> Array:
    """Gaussian noise of mean 0 and standard deviation 1, with the given correlation time in seconds."""
    frequency = np.fft.rfftfreq(count, 1.0 / RATE)
    spectrum = np.exp(-0.5 * (2 * np.pi * frequency * correlation) ** 2)
    noise = np.fft.irfft(
        spectrum * (rng.standard_normal(len(frequency)) + 1j * rng.standard_normal(len(frequency))), count
    )
    # Slow noise varies little within a short stretch: its mean would grow beyond all bounds with what is left.
    noise -= noise.mean()
    return noise / max(float(noise.std()), 1e-12)
