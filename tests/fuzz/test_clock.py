"""A clock that jumps by hours while things run: results, estimates, ages and locks do not care."""

from __future__ import annotations

import random
import time
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from tiny_clips import make_clip, use_sharpen

from selfhvd_cli import jobs
from selfhvd_cli.cli import progress
from selfhvd_cli.deblur_video import deblur_steps
from selfhvd_cli.deblurring import settings
from selfhvd_cli.deblurring.job import DeblurJob
from selfhvd_cli.deblurring.kept import folders_for
from selfhvd_cli.video.encoders import Encoding
from selfhvd_cli.weights.lock import StoreLock
from selfhvd_cli.weights.patience import retry_after


class JumpingClock:
    """The time of day, off by up to a day in either direction, and by another span at each look."""

    def __init__(self) -> None:
        self._dice = random.Random(0)
        self._true = time.time

    def __call__(self) -> float:
        return self._true() + self._dice.choice((-1, 1)) * self._dice.uniform(3600, 86400)


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeblurJob:
    monkeypatch.setenv("SELFHVD_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(settings, "SEGMENT", 4)
    weights = use_sharpen(monkeypatch, tmp_path)
    (tmp_path / "in").mkdir()
    clip = make_clip(tmp_path / "in" / "clip.mp4", range(0, 260, 20))
    encoding = Encoding(preset="ultrafast")
    return DeblurJob(
        clip, clip.with_name("out.mp4"), weights=str(weights), device="cpu", precision="fp32", encoding=encoding
    )


def test_a_run_that_is_cut_off_and_goes_on(job: DeblurJob, monkeypatch: pytest.MonkeyPatch) -> None:
    straight = replace(job, target=job.target.with_name("straight.mp4"))
    for _ in deblur_steps(straight):
        pass
    monkeypatch.setattr(time, "time", JumpingClock())
    with closing(deblur_steps(job)) as steps:
        next(step for step in steps if step.kept is not None)
    (folder,) = folders_for(job.target)
    for _ in range(10):
        (found,) = jobs()
        assert found.kept == folder
        assert 0 <= found.age < 3 * 86400
        assert found.state == "interrupted"
    seen = list(deblur_steps(job))
    report = seen[-1].report
    assert report is not None
    assert report.frames_resumed > 0
    assert 0 < report.seconds < 600
    assert all(step.seconds_left is None or 0 <= step.seconds_left < 600 for step in seen)
    assert job.target.read_bytes() == straight.target.read_bytes()
    assert job.target.stat().st_mtime_ns == job.source.stat().st_mtime_ns


def test_what_is_said_of_the_end_stays_sensible(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = JumpingClock()

    class Jumping(datetime):
        @classmethod
        def now(cls, tz: timezone | None = None) -> datetime:  # type: ignore[override]
            return datetime.fromtimestamp(clock(), tz)

    monkeypatch.setattr(progress, "datetime", Jumping)
    for _ in range(20):
        assert progress.clock(200.0).startswith("3:20 left, done at ")


def test_locks_are_free_when_they_are_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", JumpingClock())
    for _ in range(3):
        with StoreLock(tmp_path / "lock") as lock:
            assert lock.acquire()
            assert not StoreLock(tmp_path / "lock").acquire(0.1)


def test_a_server_asks_to_wait_by_its_own_clock() -> None:
    there = "Mon, 23 Nov 2020 02:00:30 GMT"
    assert retry_after(there, "Mon, 23 Nov 2020 02:00:00 GMT") == 30
    assert retry_after(there, "Mon, 23 Nov 2020 03:00:00 GMT") == 0
    assert retry_after(there, "nonsense") == 0, "by our own clock that is long past"
    assert retry_after("7", "nonsense") == 7
