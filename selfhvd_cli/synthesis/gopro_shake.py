"""GoProShake: blurry/sharp pairs by averaging runs of real sharp frames (supplement B.1, Eqs. A–G).

Windows of constant size follow each other without overlap. From each, the frames around its middle one are
averaged in linear light; how many is proportional to the camera's mean movement in the window, so that slow
moments stay sharp, as optical stabilisation leaves them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from selfhvd_cli.synthesis.scene import GAMMA, to_linear
from selfhvd_cli.synthesis.windows import Bytes


@dataclass(frozen=True)
class GoProShakeConfig:
    """Constants of the synthesis."""

    window: int = 11
    """Frames in a window, and between the middles of two windows (at 240 frames a second, 11 make 22)."""

    share: float = 0.33
    """Share of the windows whose middle frame stays as it is, as of a phone's frames (Table A: 30 to 39 %); it fixes
    the constant of Eq. F, which the paper leaves open."""

    interpolate: int = 4
    """Frames inserted between two neighbours before averaging, so that fast motion leaves no steps."""


@dataclass(frozen=True)
class ShakePair:
    """One synthetic frame and its truth."""

    blurry: Bytes
    """`[H, W, 3]`."""

    sharp: Bytes
    """`[H, W, 3]`: the middle frame of the window."""

    frames: int
    """How many frames were averaged; 1 means that the frame is sharp."""


def movement(before: Bytes, after: Bytes) -> float:
    """Distance the camera moved between two frames, in pixels: translation plus rotation and zoom at half the radius.

    The paper takes it from MonST3R's camera poses; here it is the similarity that tracked corners agree on.
    """
    first, second = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (before, after))
    corners = cv2.goodFeaturesToTrack(first, 400, 0.01, 8)
    if corners is None or len(corners) < 6:
        return 0.0
    moved, found, _ = cv2.calcOpticalFlowPyrLK(first, second, corners, np.zeros_like(corners))
    kept = found.ravel() == 1
    if kept.sum() < 6:
        return 0.0
    similarity, _ = cv2.estimateAffinePartial2D(corners[kept], moved[kept], ransacReprojThreshold=1.5)
    if similarity is None:
        return 0.0
    height, width = first.shape
    centre = np.array([width / 2, height / 2, 1.0])
    shift = np.asarray(similarity) @ centre - centre[:2]
    turn = complex(similarity[0, 0], similarity[1, 0])
    return float(np.hypot(*shift) + abs(turn - 1.0) * 0.25 * (height + width))


def synthesise(frames: Iterable[Bytes], config: GoProShakeConfig | None = None) -> Iterator[ShakePair]:
    """Pairs from consecutive sharp frames `[H, W, 3]`; frames that fill no window at the end are left.

    Args:
        frames: gone through twice, for the constant of Eq. F depends on all windows; no more than two windows of them
            are held.
    """
    config = config or GoProShakeConfig()
    # Eq. E: the mean over the window's own steps.
    distances = [
        float(np.mean([movement(a, b) for a, b in pairwise(window)] or [0.0]))
        for window in _windows(frames, config.window)
    ]
    middle = config.window // 2
    for window, count in zip(_windows(frames, config.window), run_lengths(distances, config), strict=True):
        run = window[middle - count // 2 : middle + count // 2 + 1]
        yield ShakePair(average(run, config.interpolate), window[middle], count)


def _windows(frames: Iterable[Bytes], length: int) -> Iterator[list[Bytes]]:
    """Window after window, without overlap (Eq. D)."""
    window: list[Bytes] = []
    for frame in frames:
        window.append(frame)
        if len(window) == length:
            yield window
            window = []


def run_lengths(distances: list[float], config: GoProShakeConfig) -> list[int]:
    """Frames to average in each window, odd and at most the window: proportional to its movement (Eq. F).

    The constant is set so that the slowest `config.share` of the windows keep one frame, sharp.
    """
    if not distances:
        return []
    # Up to twice the scale the nearest odd number is 1.
    scale = max(float(np.quantile(distances, config.share)), 1e-6) / 2
    odd = [2 * round((distance / scale - 1.0) / 2) + 1 for distance in distances]
    largest = config.window if config.window % 2 else config.window - 1
    return [min(max(count, 1), largest) for count in odd]


def average(run: list[Bytes], interpolate: int) -> Bytes:
    """Mean of the run in linear light (Eqs. A, B, G), with `interpolate` frames put between neighbours first.

    Light is that of Eq. B, gamma 2.2; the paper's Eq. G takes the camera response that Nah et al. (2019) estimated
    for theirs, which is not of the camera at hand either.
    """
    if len(run) == 1:
        return run[0]
    total = np.zeros(run[0].shape, np.float64)
    count = 0
    for before, after in pairwise(run):
        for picture in _between(before, after, interpolate):
            total += to_linear(picture)
            count += 1
    total += to_linear(run[-1])
    mean = total / (count + 1)
    return np.round(255.0 * mean ** (1.0 / GAMMA)).clip(0, 255).astype(np.uint8)


def _between(before: Bytes, after: Bytes, count: int) -> Iterator[NDArray[np.uint8]]:
    """`before` and `count` pictures on the way to `after`, moved along the flow from both ends and mixed."""
    yield before
    if count == 0:
        return
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grays = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (before, after)]
    height, width = grays[0].shape
    forward = estimator.calc(grays[0], grays[1], np.zeros((height, width, 2), np.float32))
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    for number in range(1, count + 1):
        part = number / (count + 1)
        near = _moved(before, x, y, -part * forward)
        far = _moved(after, x, y, (1.0 - part) * forward)
        yield np.round((1.0 - part) * near + part * far).astype(np.uint8)


def _moved(picture: Bytes, x: NDArray[np.float32], y: NDArray[np.float32], flow: NDArray[np.float32]) -> Bytes:
    moved = cv2.remap(picture, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)
