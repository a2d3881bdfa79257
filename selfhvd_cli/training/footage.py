"""Footage: the frames of one clip, on disk, so that memory does not grow with the clip's length."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

import torch
from torch import Tensor

from selfhvd_cli.training.sharpness import SharpFrames


class Footage:
    """8-bit RGB frames of one size in a temporary file that disappears with the process; a context manager.

    Frames are read by ordinary reads, not mapped: what the system keeps of the file is its own cache, never memory
    of this process.
    """

    def __init__(self, height: int, width: int, folder: Path | None = None) -> None:
        """
        Args:
            height, width: of every frame, in pixels.
            folder: where the file lives; None is the system's folder for such files.
        """
        self.height = height
        self.width = width
        self.frames = 0
        # Unnamed where the system can, so that not even a killed process leaves it behind.
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder, prefix="selfhvd-", buffering=0)  # noqa: SIM115

    def __enter__(self) -> Footage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the disk space back."""
        self._file.close()

    def __len__(self) -> int:
        return self.frames

    def append(self, picture: Tensor) -> None:
        """Add a frame, `[3, H, W]` RGB in [0, 1].

        Raises:
            ValueError: it is of another size.
            OSError: the disk is full.
        """
        if tuple(picture.shape) != (3, self.height, self.width):
            raise ValueError(f"expected a frame of [3, {self.height}, {self.width}], got {tuple(picture.shape)}")
        data = memoryview((picture.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).contiguous().numpy().tobytes())
        self._file.seek(self.frames * len(data))
        while data:
            data = data[self._file.write(data) :]
        self.frames += 1

    def crop(self, frame: int, top: int, left: int, height: int, width: int) -> Tensor:
        """`[3, height, width]`, uint8: a part of one frame."""
        if not (0 <= frame < self.frames and 0 <= top <= self.height - height and 0 <= left <= self.width - width):
            raise IndexError(f"no crop {height}x{width} at ({top}, {left}) in frame {frame} of {self!r}")
        row = 3 * self.width
        data = bytearray(height * row)
        view = memoryview(data)
        self._file.seek((frame * self.height + top) * row)
        while view:
            count = self._file.readinto(view)  # type: ignore[attr-defined]
            if not count:
                raise OSError("the file of decoded frames ended early")
            view = view[count:]
        rows = torch.frombuffer(data, dtype=torch.uint8).view(height, self.width, 3)
        return rows[:, left : left + width].permute(2, 0, 1).contiguous()

    def picture(self, frame: int) -> Tensor:
        """`[3, H, W]`, float32 in [0, 1]: one whole frame."""
        return self.crop(frame, 0, 0, self.height, self.width).float() / 255.0

    def __repr__(self) -> str:
        return f"Footage({self.frames} frames of {self.width}x{self.height})"


@dataclass(frozen=True)
class Shot:
    """Consecutive frames of one scene, and which of them are sharp; labels never cross its ends."""

    footage: Footage
    """The clip it is part of."""

    first: int
    """Its first frame in the footage."""

    sharp: SharpFrames
    """Of its own frames, counted from 0."""

    withheld: tuple[int, ...] = ()
    """Sharp frames that neither teach nor are taught, for the held-out check."""

    def __len__(self) -> int:
        return len(self.sharp)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.footage.height, self.footage.width

    @property
    def teachers(self) -> tuple[int, ...]:
        """Ω without the withheld frames."""
        return tuple(index for index in self.sharp.indices if index not in self.withheld)

    @property
    def blurry(self) -> tuple[int, ...]:
        """The frames outside Ω."""
        chosen = set(self.sharp.indices)
        return tuple(index for index in range(len(self)) if index not in chosen)

    def label_of(self, frame: int) -> int:
        """ψ(frame) among the teachers: the closest in time, the sharper of two."""
        return self.labels_of(frame, 1)[0]

    def labels_of(self, frame: int, count: int) -> tuple[int, ...]:
        """The `count` teachers closest in time, the closest first; a teacher is its own only label."""
        if frame in self.teachers:
            return (frame,)
        return tuple(sorted(self.teachers, key=lambda index: (abs(index - frame), -self.sharp.scores[index]))[:count])

    def crop(self, frame: int, top: int, left: int, side: int) -> Tensor:
        """`[3, side, side]`, float32 in [0, 1]."""
        return self.footage.crop(self.first + frame, top, left, side, side).float() / 255.0

    def picture(self, frame: int) -> Tensor:
        """`[3, H, W]`, float32 in [0, 1]."""
        return self.footage.picture(self.first + frame)


def sharpness_ratio(shots: Sequence[Shot]) -> float:
    """How many times as sharp the sharp frames are as the blurry ones, by the mean of S; 1 where none is blurry."""
    sharp = [shot.sharp.scores[index] for shot in shots for index in shot.sharp.indices]
    blurry = [shot.sharp.scores[index] for shot in shots for index in shot.blurry]
    if not sharp or not blurry:
        return 1.0
    return (sum(sharp) / len(sharp)) / max(sum(blurry) / len(blurry), 1e-9)
