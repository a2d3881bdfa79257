"""The pool of training windows: who waits for one is told why none comes."""

from __future__ import annotations

import os
import signal
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from selfhvd_cli.errors import InputFault, SelfHVDError
from selfhvd_cli.synthesis.pool import WindowPool, read_photos


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{number}.png" for number in range(2)]
    for path in paths:
        coarse = rng.uniform(0, 255, (12, 15, 3)).astype(np.float32)
        cv2.imwrite(str(path), cv2.resize(coarse, (150, 120), interpolation=cv2.INTER_CUBIC))
    return paths


def pool(paths: list[Path], workers: int = 1) -> WindowPool:
    return WindowPool(paths, size=64, count=2, batch=2, seed=0, workers=workers, reuse=1)


def test_a_name_that_is_no_text_is_a_name(photos: list[Path]) -> None:
    odd = photos[0].rename(photos[0].with_name("photo\udcff.png"))
    (picture,) = read_photos([odd])
    assert min(picture.shape[:2]) >= 64


def test_a_picture_that_is_none_is_named(photos: list[Path]) -> None:
    photos[1].write_bytes(b"not a picture")
    with pool(photos) as windows, pytest.raises(InputFault, match=r"1\.png: not a picture"):
        next(iter(windows))


def test_a_process_that_was_ended_is_not_waited_for(photos: list[Path]) -> None:
    with pool(photos) as windows:
        batches = iter(windows)
        next(batches)
        windows.processes[0].kill()
        with pytest.raises(SelfHVDError, match="ended by signal 9"):
            list(islice(batches, 100))


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows sends Ctrl-C in another way")
def test_ctrl_c_is_left_to_the_process_that_trains(photos: list[Path], capfd: pytest.CaptureFixture[str]) -> None:
    with pool(photos, workers=2) as windows:
        batches = iter(windows)
        for moment in ("starting", "rendering"):
            for process in windows.processes:
                assert process.pid is not None
                os.kill(process.pid, signal.SIGINT)
            assert next(batches), moment
        assert all(process.is_alive() for process in windows.processes)
    assert "Traceback" not in capfd.readouterr().err
