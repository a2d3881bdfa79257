"""Encoders leave the scheduling of the process as it is: a run must not take a machine from everything else on it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from test_segments import Shelf

from selfhvd_cli.video.encoders import Encoding, open_test, plan_encoders
from selfhvd_cli.video.priority import THREADS, priority_kept
from selfhvd_cli.video.reader import open_reader
from selfhvd_cli.video.writing import open_writer

pytestmark = pytest.mark.skipif(not THREADS.is_dir(), reason="the scheduling of threads is Linux' own")


def policies() -> set[int]:
    return {os.sched_getscheduler(int(entry.name)) for entry in THREADS.iterdir()}


@pytest.fixture
def real_time_allowed() -> None:
    """Skip where no program could make itself real-time: an encoder that tries is refused there."""
    before, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    if before != os.SCHED_OTHER:
        pytest.skip("the tests themselves run with another scheduling policy")
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        pytest.skip("real-time scheduling is not allowed to this user")
    os.sched_setscheduler(0, before, parameters)


def test_what_changes_inside_is_put_back_and_threads_from_before_are_left() -> None:
    begin, end = threading.Event(), threading.Event()

    def work() -> None:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        begin.set()
        end.wait()

    elder, younger = threading.Thread(target=work), threading.Thread(target=work)
    try:
        elder.start()
        assert begin.wait(10)
        begin.clear()
        with priority_kept():
            younger.start()
            assert begin.wait(10)
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        assert os.sched_getscheduler(0) == os.SCHED_OTHER
        assert younger.native_id is not None
        assert elder.native_id is not None
        assert os.sched_getscheduler(younger.native_id) == os.SCHED_OTHER
        assert os.sched_getscheduler(elder.native_id) == os.SCHED_BATCH
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        end.set()


@pytest.mark.parametrize("kept", [False, True])
def test_av1_is_written_at_the_priority_of_the_run(
    clip: Callable[..., Path], real_time_allowed: None, kept: bool
) -> None:
    source = clip("in.mp4", frames=6, sound=False)
    target, seen = source.with_name("out.mp4"), set()
    with (
        open_reader(source) as reader,
        open_writer(target, reader.info, Encoding(codec="av1", preset="ultrafast")) as writer,
    ):
        if kept:
            assert writer.keep(Shelf(2))
        for frame in reader:
            writer.write(frame, frame.rgb() * 0.9 + 0.05)
            seen |= policies()
    assert seen | policies() == {os.SCHED_OTHER}


def test_an_encoder_that_is_tried_leaves_the_priority(clip: Callable[..., Path], real_time_allowed: None) -> None:
    with open_reader(clip("in.mp4", frames=1, sound=False)) as reader:
        plan = next(plan_encoders(reader.info, Encoding(codec="av1"), "mp4"))
        assert open_test(plan, 128, 96, reader.info.time_base) is None
    assert policies() == {os.SCHED_OTHER}
