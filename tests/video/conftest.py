"""Fixtures of the tests of the video layer."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from video_clips import Recipe, make


@pytest.fixture
def clip(tmp_path: Path) -> Callable[..., Path]:
    """`clip("a.mp4", frames=5, ...)` generates a clip and gives its path; the words are those of `Recipe`."""

    def build(name: str = "clip.mp4", **recipe: object) -> Path:
        return make(tmp_path / name, Recipe(**recipe))  # type: ignore[arg-type]

    return build


@pytest.fixture
def read_only_folder(tmp_path: Path) -> Path:
    """A folder that nothing can be written to."""
    if os.geteuid() == 0:
        pytest.skip("permissions do not bind the superuser")
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o500)
    return folder
