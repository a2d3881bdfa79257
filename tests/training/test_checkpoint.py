"""A checkpoint is whole or the one before it."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from selfhvd_cli.errors import DiskFault
from selfhvd_cli.training.checkpoint import load_checkpoint, save_checkpoint


def test_one_that_cannot_be_written_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.checkpoint"
    save_checkpoint(path, {"step": 1})

    def full(state: Any, place: Any) -> None:
        Path(place).write_bytes(b"PK half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(DiskFault):
            save_checkpoint(path, {"step": 2})
    assert load_checkpoint(path) == {"step": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["run.checkpoint"]
