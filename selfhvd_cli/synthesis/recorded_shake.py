"""Recorded hand shake: camera trajectories from the rotation log of a real phone in a real hand."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from selfhvd_cli.errors import InputFault
from selfhvd_cli.synthesis.shake import MARGIN, RATE, Array, Trajectory, scaled

LINE = re.compile(r"^\s*\d+\s*,\s*(?P<time>\d+)\s*,\s*\[(?P<matrix>[^\]]*)\]\s*$")
"""System time in ms, sensor time in ns, the nine numbers of the rotation matrix (device to world), row by row."""

SPARSEST = 50.0
"""Samples a second that a log needs: tremor goes up to 12 Hz."""


@dataclass(frozen=True)
class RotationLog:
    """Angular velocity of a phone, evenly sampled at `shake.RATE`."""

    name: str
    """The file it came from."""

    velocity: Array
    """`[N, 3]`, radians a second around the axes of the device: x to the right, y up, z out of the screen."""


def read_rotation_log(path: Path) -> RotationLog:
    """Read a log of rotation matrices, one a line (`system ms, sensor ns, [r11, …, r33]`; other lines are skipped).

    Raises:
        InputFault: the file cannot be read, holds a matrix that is none, less than a second, or fewer than 50 samples
            a second.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputFault(f"{path}: cannot be read ({error.strerror}).") from None
    rows = [match for match in map(LINE.match, text.splitlines()) if match]
    seconds = np.array([int(row["time"]) for row in rows], dtype=np.float64) * 1e-9
    numbers = [_matrix(path, row["matrix"]) for row in rows]
    span = float(np.ptp(seconds)) if len(seconds) > 1 else 0.0
    if span < 1.0 or len(seconds) < SPARSEST * span:
        raise InputFault(
            f"{path}: {len(seconds)} rotations over {span:.1f} s; need at least a second at {SPARSEST:.0f} a second, "
            "one a line: system ms, sensor ns, [r11, ..., r33]."
        )
    return RotationLog(path.name, _velocity(seconds, np.stack(numbers).reshape(-1, 3, 3)))


def recorded_shake(
    log: RotationLog,
    rng: np.random.Generator,
    *,
    duration: float,
    severity: float,
    exposure: float,
    frame_interval: float,
    radius: float = 100.0,
) -> Trajectory:
    """A random stretch of the log as a trajectory; a log that is too short is played forth and back.

    Its mean velocity is taken out (a photograph is no panorama), and it is scaled to the severity, as is `shake`'s.

    Args:
        radius: half the picture's size in pixels; its focal length is taken as twice that.
    """
    count = int((duration + 2 * MARGIN) * RATE)
    velocity = np.concatenate([log.velocity, -log.velocity[::-1]])
    velocity = np.concatenate([velocity] * (1 + count // len(velocity)))
    start = int(rng.integers(len(velocity) - count + 1))
    stretch = velocity[start : start + count]
    stretch = stretch - stretch.mean(axis=0)
    focal = 2.0 * radius
    # Turning around y moves the picture sideways, around x up and down, around z rolls it; nothing zooms it.
    moves = np.stack([focal * stretch[:, 1], focal * stretch[:, 0], stretch[:, 2], np.zeros(count)], axis=1)
    poses = np.cumsum(moves, axis=0) / RATE
    return scaled(poses, duration, severity, exposure, frame_interval, radius)


def _matrix(path: Path, text: str) -> Array:
    """`[9]`: the numbers of one matrix."""
    try:
        found = np.array(text.split(","), dtype=np.float64)
    except ValueError:
        found = np.zeros(0)
    if len(found) != 9 or not np.isfinite(found).all():
        raise InputFault(f"{path}: a rotation matrix needs 9 numbers a line, got [{text}]; take that line out.")
    return found


def _velocity(seconds: Array, rotations: Array) -> Array:
    """`[N, 3]` at `RATE`: angular velocity from one matrix to the next, for small angles."""
    steps = np.swapaxes(rotations[:-1], 1, 2) @ rotations[1:]
    turned = 0.5 * np.stack(
        [steps[:, 2, 1] - steps[:, 1, 2], steps[:, 0, 2] - steps[:, 2, 0], steps[:, 1, 0] - steps[:, 0, 1]], axis=1
    )
    passed = np.diff(seconds)
    later = passed > 1e-6
    middle = 0.5 * (seconds[1:] + seconds[:-1])[later]
    rate = turned[later] / passed[later, None]
    even = np.arange(middle[0], middle[-1], 1.0 / RATE)
    return np.stack([np.interp(even, middle, rate[:, axis]) for axis in range(3)], axis=1)
