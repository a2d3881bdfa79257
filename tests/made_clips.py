"""Small clips made on the spot: a texture seen by a shaking camera, as numbered pictures or as an mp4 with sound."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""`[H, W, 3]`, RGB."""


def texture(width: int = 64, height: int = 48, seed: int = 0) -> Picture:
    """Blobs, edges and fine grain in colour."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    picture += generator.integers(-25, 26, picture.shape, dtype=np.int16)
    picture = picture.clip(0, 255).astype(np.uint8)
    cv2.rectangle(picture, (width // 5, height // 4), (width // 2, height // 2), (250, 240, 20), -1)
    return picture


def shaken(blurs: Sequence[float], width: int = 64, height: int = 48, seed: int = 0) -> list[Picture]:
    """One frame for each blur (standard deviation in pixels, 0 is sharp), the camera moving by a pixel a frame."""
    wide = texture(width + len(blurs), height, seed)
    frames = []
    for index, blur in enumerate(blurs):
        view = wide[:, index : index + width]
        frames.append(cv2.GaussianBlur(view, (0, 0), blur) if blur else view.copy())
    return frames


def write_folder(folder: Path, frames: Sequence[Picture]) -> Path:
    """Frames as PNG files, losslessly."""
    folder.mkdir(parents=True)
    for index, frame in enumerate(frames):
        assert cv2.imwrite(str(folder / f"{index:04d}.png"), frame[..., ::-1])
    return folder


def write_video(
    path: Path,
    frames: Sequence[Picture],
    rate: int = 10,
    *,
    sound: bool = False,
    rotation: int = 0,
    aspect: Fraction | None = None,
    tags: dict[str, str] | None = None,
) -> Path:
    """Frames as H.264 of high quality, optionally with a tone."""
    options = {"movflags": "use_metadata_tags"}
    with av.open(str(path), "w", options=options) as file:
        file.metadata.update(tags or {})
        video = file.add_stream("libx264", rate=rate, options={"crf": "4", "preset": "ultrafast"})
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = "yuv420p"
        if aspect:
            video.codec_context.sample_aspect_ratio = aspect
        if rotation:
            video.set_display_rotation(rotation)
        audio = file.add_stream("aac", rate=16000, layout="mono") if sound else None
        for index, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), "rgb24")
            picture.pts, picture.time_base = index, Fraction(1, rate)
            file.mux(video.encode(picture))
        file.mux(video.encode())
        if audio is not None:
            count = 16000 * len(frames) // rate
            wave = (0.3 * np.sin(np.arange(count) * 0.17)).astype(np.float32).reshape(1, -1)
            for start in range(0, count, 1024):
                tone = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave[:, start : start + 1024]), "fltp", "mono")
                tone.sample_rate, tone.pts = 16000, start
                file.mux(audio.encode(tone))
            file.mux(audio.encode())
    return path
