"""Adapting with little memory: what may end the run is said before it can."""

from __future__ import annotations

from pathlib import Path

import made_clips
import pytest
import torch

from selfhvd_cli.adapt_network import adapt
from selfhvd_cli.adaptation.job import AdaptProgress
from selfhvd_cli.restore.architectures import ARCHITECTURES
from selfhvd_cli.training.labels import RestoredLabels, label_memory


def test_sharp_frames_that_need_more_than_there_is_are_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = made_clips.shaken([0.0, 1.5, 2.0, 1.5] * 6, width=80, height=64)
    clip = made_clips.write_folder(tmp_path / "frames", frames)
    seen: list[str] = []

    def remember(progress: AdaptProgress) -> None:
        seen.extend(progress.messages)

    def ended(*_: object) -> torch.Tensor:
        raise KeyboardInterrupt

    monkeypatch.setattr("selfhvd_cli.adaptation.prepare.label_memory", lambda *_: 1 << 50)
    monkeypatch.setattr(RestoredLabels, "crop", ended)
    with pytest.raises(KeyboardInterrupt):
        adapt(
            clip, tmp_path / "w.safetensors", steps=1, flow="dis", perceptual="none", device="cpu", crop=64,
            sequence=4, batch=1, targets=1, on_progress=remember,
        )  # fmt: skip
    assert any("memory is short" in message for message in seen)


def test_large_frames_take_no_more_than_tiles_of_them() -> None:
    row = ARCHITECTURES["lite"]
    full, four_k = label_memory(row, 1080, 1920), label_memory(row, 2160, 3840)
    assert full < four_k < 3 * full
