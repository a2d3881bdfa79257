"""Rendering: a scene seen along a trajectory, as blurry frames, sharp frames and the exact flow between them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from selfhvd_cli.synthesis.scene import Layer, Scene
from selfhvd_cli.synthesis.shake import Trajectory

Array = NDArray[np.float32]

MAX_SAMPLES = 48
"""Most poses that one exposure is integrated from."""


@dataclass(frozen=True)
class Camera:
    """How frames are taken."""

    height: int
    """Pixels."""

    width: int
    """Pixels."""

    exposure: float
    """Exposure time in seconds."""

    frame_interval: float
    """Seconds between frames."""

    readout: float = 0.0
    """Rolling shutter: seconds from the first row's exposure to the last row's."""

    def row_times(self, frame: int) -> NDArray[np.float64]:
        """`[H]`: middle of each row's exposure, in seconds."""
        rows = (np.arange(self.height) + 0.5) / self.height - 0.5
        return frame * self.frame_interval + rows * self.readout


class Renderer:
    """One scene, one trajectory, one camera: asks for any frame of the clip, in any order."""

    def __init__(self, scene: Scene, trajectory: Trajectory, camera: Camera) -> None:
        self.scene = scene
        self.trajectory = trajectory
        self.camera = camera

    def extent(self, frame: int) -> float:
        """Length of the frame's blur in pixels: 0 is perfectly sharp."""
        camera = self.camera
        radius = 0.25 * (camera.height + camera.width)
        return self.trajectory.extent(frame * camera.frame_interval, camera.exposure, radius)

    def blurry(self, frame: int) -> Array:
        """`[H, W, 3]` in linear light, the average of as many poses of the exposure as the blur is long."""
        camera = self.camera
        fastest = max((np.hypot(*layer.velocity) for layer in self.scene.layers), default=0.0)
        length = self.extent(frame) + float(fastest) * camera.exposure
        count = int(np.clip(np.ceil(length * 1.25), 1, MAX_SAMPLES))
        instants = ((np.arange(count) + 0.5) / count - 0.5) * camera.exposure
        method = cv2.INTER_CUBIC if count <= 3 else cv2.INTER_LINEAR
        total = np.zeros((camera.height, camera.width, 3), np.float32)
        for instant in instants:
            times = camera.row_times(frame) + instant
            total += self._picture(times, self.trajectory.at(times), method)
        return np.clip(total / count, 0.0, 1.0).astype(np.float32)

    def sharp(self, frame: int) -> Array:
        """`[H, W, 3]` in linear light: the frame without its blur, seen from the mean pose of its exposure.

        The mean pose, not the middle one, so that removing the blur moves nothing.
        """
        times = self.camera.row_times(frame)
        return np.clip(self._picture(times, self._mean_pose(frame), cv2.INTER_CUBIC), 0.0, 1.0).astype(np.float32)

    def flow(self, source: int, target: int) -> Array:
        """`[H, W, 2]`, (dx, dy) in pixels: where each pixel of sharp frame `source` lies in sharp frame `target`."""
        camera = self.camera
        front = self._front_layer(source)
        x, y = _pixel_grid(camera)
        flow = np.zeros((camera.height, camera.width, 2), np.float32)
        here = self._mean_pose(source)
        there = self._mean_pose(target)
        for number, layer in enumerate(self.scene.layers):
            chosen = front == number
            if not chosen.any():
                continue
            scene_x, scene_y = self._layer_position(layer, x, y, camera.row_times(source), here)
            u, v = x.copy(), y.copy()
            # The row a point falls on decides the pose it is seen from, so the inverse is a fixed point.
            for _ in range(4 if camera.readout else 1):
                row = np.clip(np.round(v).astype(np.int64), 0, camera.height - 1)
                u, v = self._frame_position(layer, scene_x, scene_y, camera.row_times(target)[row], there[row])
            flow[chosen] = np.stack((u - x, v - y), axis=-1)[chosen]
        return flow

    def _mean_pose(self, frame: int) -> NDArray[np.float64]:
        """`[H, 4]`: each row's pose, averaged over its exposure."""
        camera = self.camera
        instants = np.linspace(-camera.exposure / 2, camera.exposure / 2, 25)
        times = camera.row_times(frame)[:, None] + instants[None, :]
        return np.asarray(self.trajectory.at(times).mean(axis=1), dtype=np.float64)

    def _front_layer(self, frame: int) -> NDArray[np.int64]:
        """`[H, W]`: number of the layer seen at each pixel of the sharp frame."""
        times, poses = self.camera.row_times(frame), self._mean_pose(frame)
        front = np.zeros((self.camera.height, self.camera.width), np.int64)
        x, y = _pixel_grid(self.camera)
        for number, layer in enumerate(self.scene.layers):
            if layer.alpha is not None:
                map_x, map_y = self._layer_position(layer, x, y, times, poses)
                alpha = cv2.remap(layer.alpha, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
                front[np.asarray(alpha) > 0.5] = number
        return front

    def _picture(self, times: NDArray[np.float64], poses: NDArray[np.float64], method: int) -> Array:
        """The scene at one instant; `times` `[H]` and `poses` `[H, 4]` are given per row."""
        x, y = _pixel_grid(self.camera)
        picture: Array | None = None
        for layer in self.scene.layers:
            map_x, map_y = self._layer_position(layer, x, y, times, poses)
            if picture is None:
                picture = np.asarray(
                    cv2.remap(layer.picture, map_x, map_y, method, borderMode=cv2.BORDER_REFLECT_101), np.float32
                )
                continue
            if layer.alpha is None or not _touches(layer.alpha, map_x, map_y):
                continue
            colour = cv2.remap(layer.picture, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            alpha = cv2.remap(layer.alpha, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
            picture += np.asarray(alpha)[:, :, None] * (np.asarray(colour) - picture)
        assert picture is not None
        return picture

    def _layer_position(
        self, layer: Layer, x: Array, y: Array, times: NDArray[np.float64], poses: NDArray[np.float64]
    ) -> tuple[Array, Array]:
        """Position in the layer's picture that each pixel of the frame sees."""
        offset_x, offset_y = layer.offset(times.astype(np.float32))
        cosine, sine = _rotation(poses)
        u, v = x - self.camera.width / 2, y - self.camera.height / 2
        shift_x = (offset_x + layer.parallax * poses[:, 0]).astype(np.float32)[:, None]
        shift_y = (offset_y + layer.parallax * poses[:, 1]).astype(np.float32)[:, None]
        return cosine * u - sine * v + shift_x, sine * u + cosine * v + shift_y

    def _frame_position(
        self, layer: Layer, scene_x: Array, scene_y: Array, times: NDArray[np.float64], poses: NDArray[np.float64]
    ) -> tuple[Array, Array]:
        """Pixel of the frame that sees a position of the layer; `times` and `poses` are given per pixel."""
        offset_x, offset_y = layer.offset(times.astype(np.float32))
        u = scene_x - (offset_x + layer.parallax * poses[..., 0]).astype(np.float32)
        v = scene_y - (offset_y + layer.parallax * poses[..., 1]).astype(np.float32)
        zoom = np.exp(poses[..., 3]).astype(np.float32)
        cosine = np.cos(poses[..., 2]).astype(np.float32) / zoom
        sine = np.sin(poses[..., 2]).astype(np.float32) / zoom
        frame_x = cosine * u + sine * v + np.float32(self.camera.width / 2)
        frame_y = cosine * v - sine * u + np.float32(self.camera.height / 2)
        return frame_x.astype(np.float32), frame_y.astype(np.float32)


def _rotation(poses: NDArray[np.float64]) -> tuple[Array, Array]:
    """Zoomed cosine and sine of the roll, `[H, 1]` each."""
    zoom = np.exp(poses[:, 3])
    cosine = (zoom * np.cos(poses[:, 2])).astype(np.float32)[:, None]
    sine = (zoom * np.sin(poses[:, 2])).astype(np.float32)[:, None]
    return cosine, sine


def _pixel_grid(camera: Camera) -> tuple[Array, Array]:
    x = np.broadcast_to(np.arange(camera.width, dtype=np.float32)[None, :], (camera.height, camera.width))
    y = np.broadcast_to(np.arange(camera.height, dtype=np.float32)[:, None], (camera.height, camera.width))
    return x, y


def _touches(alpha: Array, map_x: Array, map_y: Array) -> bool:
    """Whether any pixel of the frame may see the layer; most cut-outs leave the frame sooner or later."""
    height, width = alpha.shape
    return bool(map_x.max() > 0 and map_y.max() > 0 and map_x.min() < width and map_y.min() < height)
