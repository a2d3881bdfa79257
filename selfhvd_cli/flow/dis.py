"""Flow by OpenCV's DIS after the global motion, the estimator that needs no weights."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from selfhvd_cli.allotment import processors
from selfhvd_cli.flow.estimator import Flow
from selfhvd_cli.ops.padding import pad_size
from selfhvd_cli.ops.sharpness import gray

GLOBAL_SIZE = 320
"""Longer side at which the global motion is found; it is exact to a fraction of the few pixels that DIS corrects."""

LEAST_OVERLAP = 0.3
"""A global motion that leaves less of the picture in view is not believed."""

WORTHWHILE = 0.95
"""A global motion must lower the difference of the pictures to this share of what no motion leaves."""

Picture = Any
"""A NumPy array `[H, W]`; OpenCV's stubs know no shapes."""

IDENTITY: Picture = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


class DisEstimator:
    """DIS (Kroeger et al., ECCV 2016) as a `FlowEstimator`, on the CPU; it knows no uncertainty: confidence is 1.

    A hand's shake can move the whole picture farther than DIS searches. So a similarity (shift, turn, scale) is
    found first and DIS sees the target with that motion taken out.

    Args:
        global_motion: find the similarity first.
    """

    def __init__(self, global_motion: bool = True) -> None:
        self.global_motion = global_motion

    @torch.no_grad()
    def __call__(self, source: Tensor, target: Tensor) -> Flow:
        sources, padding = pad_size(source.detach(), 1, min_size=16, where="around")
        targets, _ = pad_size(target.detach(), 1, min_size=16, where="around")
        pairs = [_as_codes(one, other) for one, other in zip(sources, targets, strict=True)]
        # A pair is too small to keep two processors busy; beside a GPU, which waits for all of them, there are many.
        with ThreadPoolExecutor(min(len(pairs), processors())) as pool:
            found = list(pool.map(lambda pair: self._find(*pair), pairs))
        vectors = padding.crop(torch.from_numpy(np.stack(found))).contiguous().to(source.device)
        return Flow(vectors, torch.ones_like(vectors[:, :1]))

    def _find(self, source: Picture, target: Picture) -> Picture:
        """`[2, H, W]`, float32."""
        import cv2

        dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)  # type: ignore[attr-defined]
        moved = global_similarity(source, target) if self.global_motion else IDENTITY
        if moved is IDENTITY:
            return dis.calc(source, target, None).transpose(2, 0, 1)
        rest = dis.calc(source, _sampled(target, moved, source.shape), None).transpose(2, 0, 1)
        # target(M p) is what DIS saw at p, so a source pixel x lies at M (x + rest) in the target.
        y, x = np.mgrid[: source.shape[0], : source.shape[1]].astype(np.float32)
        px, py = x + rest[0], y + rest[1]
        (a, b, c), (d, e, f) = moved
        return np.stack((a * px + b * py + c - x, d * px + e * py + f - y)).astype(np.float32)


def global_similarity(source: Picture, target: Picture) -> Picture:
    """The similarity M that best takes a source pixel (x, y) to the target, `[2, 3]`, or `IDENTITY`.

    Phase correlation and matched ORB features each propose one; the one that leaves the smallest difference wins.

    Args:
        source, target: 8-bit grey pictures `[H, W]`.
    """
    import cv2

    scale = min(1.0, GLOBAL_SIZE / max(source.shape))
    size = (max(16, round(source.shape[1] * scale)), max(16, round(source.shape[0] * scale)))
    small_source, small_target = (cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in (source, target))
    best, least = IDENTITY, WORTHWHILE * _difference(small_source, small_target, IDENTITY)
    for proposal in _proposals(small_source, small_target):
        difference = _difference(small_source, small_target, proposal)
        if difference < least:
            best, least = proposal, difference
    if best is IDENTITY:
        return IDENTITY
    # Pixel centres of the two sizes: small = (full + 0.5) * ratio - 0.5 on each axis.
    ratio = np.array([size[0] / source.shape[1], size[1] / source.shape[0]])
    linear = best[:, :2] * ratio / ratio[:, None]
    centre = 0.5 * ratio - 0.5
    shift = (best[:, :2] @ centre + best[:, 2] - centre) / ratio
    return np.concatenate((linear, shift[:, None]), axis=1)


def _proposals(source: Picture, target: Picture) -> Iterator[Picture]:
    import cv2

    window = cv2.createHanningWindow(source.shape[::-1], cv2.CV_32F)
    (dx, dy), _ = cv2.phaseCorrelate(source.astype(np.float32), target.astype(np.float32), window)
    yield np.array([[1.0, 0.0, dx], [0.0, 1.0, dy]])

    # ORB finds as good a similarity as SIFT on blurred pictures, in a quarter of the time.
    orb = cv2.ORB_create(1000, fastThreshold=7)  # type: ignore[attr-defined]
    points1, signs1 = orb.detectAndCompute(source, None)
    points2, signs2 = orb.detectAndCompute(target, None)
    if signs1 is None or signs2 is None or len(points1) < 8 or len(points2) < 8:
        return
    pairs = cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(signs1, signs2, k=2)
    # Lowe's ratio test; 0.8 is his own figure.
    good = [two[0] for two in pairs if len(two) == 2 and two[0].distance < 0.8 * two[1].distance]
    if len(good) < 8:
        return
    here = np.array([points1[m.queryIdx].pt for m in good], dtype=np.float32)
    there = np.array([points2[m.trainIdx].pt for m in good], dtype=np.float32)
    # RANSAC draws from OpenCV's own generator: seeded, so that the same pictures give the same flow.
    cv2.setRNGSeed(0)
    fit, _ = cv2.estimateAffinePartial2D(here, there, method=cv2.RANSAC, ransacReprojThreshold=2.0)
    if fit is not None and 0.5 < np.hypot(fit[0, 0], fit[1, 0]) < 2.0:
        yield fit


def _difference(source: Picture, target: Picture, moved: Picture) -> float:
    """Mean absolute difference where both pictures show something, in codes."""
    seen = _sampled(np.full_like(target, 255), moved, source.shape, outside_black=True) == 255
    if seen.mean() < LEAST_OVERLAP:
        return float("inf")
    difference = np.abs(source.astype(np.float32) - _sampled(target, moved, source.shape))
    return float(difference[seen].mean())


def _sampled(picture: Picture, moved: Picture, shape: tuple[int, int], outside_black: bool = False) -> Picture:
    """`picture` at M p for every pixel p of `shape`."""
    import cv2

    border = cv2.BORDER_CONSTANT if outside_black else cv2.BORDER_REPLICATE
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(picture, moved, shape[::-1], flags=flags, borderMode=border)


def _as_codes(source: Tensor, target: Tensor) -> tuple[Picture, Picture]:
    """8-bit grey pictures, both stretched alike: DIS reads 8 bits, of which a night clip fills few."""
    pictures = gray(torch.stack((source, target)).float()).squeeze(1)
    low, high = pictures.min(), pictures.max()
    stretched = (pictures - low) * (255.0 / (high - low).clamp_min(1.0 / 255.0))
    one, other = stretched.round().to("cpu", torch.uint8).numpy()
    return one, other
