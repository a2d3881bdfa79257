"""Durable: on the disk before anything relies on it, as far as the disk offers that."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from selfhvd_cli.durable import write_whole


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_a_disk_that_does_not_sync_folders_takes_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    real = os.fsync

    def fsync(place: int) -> None:
        if stat.S_ISDIR(os.fstat(place).st_mode):
            raise OSError(number, os.strerror(number))
        real(place)

    monkeypatch.setattr(os, "fsync", fsync)
    write_whole(tmp_path / "result", b"all of it")
    assert (tmp_path / "result").read_bytes() == b"all of it"


def test_a_folder_that_may_be_written_but_not_read_takes_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def opened(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", opened)
    write_whole(tmp_path / "result", b"all of it")
    assert (tmp_path / "result").read_bytes() == b"all of it"


@pytest.mark.parametrize("number", [errno.EIO, errno.EINVAL])
def test_a_file_the_disk_could_not_take_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    (tmp_path / "result").write_bytes(b"yesterday's")

    def fsync(place: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match=os.strerror(number)):
        write_whole(tmp_path / "result", b"today's")
    assert (tmp_path / "result").read_bytes() == b"yesterday's"
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_a_folder_the_disk_failed_on_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(place: int) -> None:
        if stat.S_ISDIR(os.fstat(place).st_mode):
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="Input/output"):
        write_whole(tmp_path / "result", b"all of it")
