"""Small media and a small network, made by the tests that need them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from selfhvd_cli.restore.architectures import ARCHITECTURES, Architecture
from selfhvd_cli.restore.restorer import Convention

TIME_BASE = Fraction(1, 600)
UNEVEN = (0, 17, 43, 60, 85, 101, 122, 145)
"""Ticks of 1/600 s: no two neighbouring frames of the first few are equally far apart."""


def make_clip(
    path: Path,
    times: Sequence[int] = UNEVEN,
    width: int = 80,
    height: int = 64,
    sound: bool = True,
    pixel_format: str = "yuv420p",
) -> Path:
    """A short h264 clip of a moving blurred scene, with half a second of AAC where `sound` is set."""
    soft = scene(width + 4 * len(times), height)
    with av.open(str(path), "w") as output:
        encoder = "libx264rgb" if pixel_format.startswith("gbr") else "libx264"
        video = output.add_stream(encoder, rate=30, options={"preset": "ultrafast", "crf": "10"})
        video.width, video.height = width, height
        video.pix_fmt = "rgb24" if encoder == "libx264rgb" else pixel_format
        video.codec_context.time_base = video.time_base = TIME_BASE
        audio = output.add_stream("aac", rate=16000, layout="mono") if sound else None
        for index, tick in enumerate(times):
            frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(soft[:, 4 * index : 4 * index + width]), format="rgb24"
            )
            frame.pts, frame.time_base = tick, TIME_BASE
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        if audio is not None:
            for index in range(8):
                tone = np.sin(np.arange(1024, dtype=np.float32) * (index + 1) / 9)[None] / 4
                sample = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
                sample.rate, sample.pts, sample.time_base = 16000, 1024 * index, Fraction(1, 16000)
                output.mux(audio.encode(sample))
            output.mux(audio.encode(None))
    return path


def scene(width: int, height: int) -> np.ndarray:
    """Patches with blurred edges, `[H, W, 3]`, uint8."""
    import cv2

    patches = np.random.default_rng(1).integers(30, 220, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    large = cv2.resize(patches, None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST)[:height, :width]
    return np.asarray(cv2.GaussianBlur(large, (0, 0), 1.2))


def make_sound(path: Path) -> Path:
    """A file that holds a voice and no picture."""
    with av.open(str(path), "w") as output:
        audio = output.add_stream("aac", rate=16000, layout="mono")
        for index in range(4):
            sample = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            sample.rate, sample.pts, sample.time_base = 16000, 1024 * index, Fraction(1, 16000)
            output.mux(audio.encode(sample))
        output.mux(audio.encode(None))
    return path


def make_frames(folder: Path, count: int = 5, width: int = 80, height: int = 64) -> Path:
    """A folder of numbered PNG files."""
    import cv2

    folder.mkdir(parents=True)
    wide = scene(width + 4 * count, height)
    for index in range(count):
        cv2.imwrite(str(folder / f"{index:04d}.png"), wide[:, 4 * index : 4 * index + width])
    return folder


def frame_times(path: Path) -> list[Fraction]:
    """Presentation times of the picture stream, in seconds."""
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def pictures(path: Path) -> list[np.ndarray]:
    """Decoded frames as RGB, uint8."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def packets(path: Path, kind: str) -> list[bytes]:
    """Payload of every packet of the first stream of a kind."""
    with av.open(str(path)) as container:
        stream = next(stream for stream in container.streams if stream.type == kind)
        return [bytes(packet) for packet in container.demux(stream) if packet.size]


class Sharpen(nn.Module):
    """Unsharp masking of one learned amount, in the shape of a network."""

    def __init__(self, amount: float = 0.8) -> None:
        super().__init__()
        self.amount = nn.Parameter(torch.tensor(amount))

    def forward(self, frames: Tensor) -> Tensor:
        batch, count = frames.shape[:2]
        flat = F.pad(frames.flatten(0, 1), (1, 1, 1, 1), mode="replicate")
        return frames + self.amount * (frames - F.avg_pool2d(flat, 3, 1).unflatten(0, (batch, count)))


SHARPEN = Architecture(
    network="tiny_clips:Sharpen",
    convention=Convention(),
    window=4,
    overlap=2,
    tile_overlap=16,
    bytes_per_pixel=100,
    bytes_per_pixel_frame=50,
)
"""The row of `Sharpen`."""


def use_sharpen(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Put `Sharpen` in the place of lite; gives a file of weights for it."""
    monkeypatch.setitem(ARCHITECTURES, "lite", SHARPEN)  # type: ignore[arg-type]
    path = folder / "sharpen.safetensors"
    save_file(Sharpen().state_dict(), path, metadata={"architecture": "lite"})
    return path
