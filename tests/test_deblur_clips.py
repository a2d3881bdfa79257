"""Several clips on several processes: what each gives is what one process gives, whatever becomes of the others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from tiny_clips import make_clip, pictures

from selfhvd_cli import deblur
from selfhvd_cli.cli import selfhvd
from selfhvd_cli.deblur_clips import deblur_clips
from selfhvd_cli.deblurring.job import DeblurJob
from selfhvd_cli.errors import EnvironmentFault, SelfHVDError
from selfhvd_cli.restore.architectures import ARCHITECTURES
from selfhvd_cli.video.encoders import Encoding
from selfhvd_cli.weights.save import save_state_dict

CLIPS = ("a.mp4", "b.mp4", "c.mp4")


@pytest.fixture
def clips(tmp_path: Path) -> list[Path]:
    return [make_clip(tmp_path / name, sound=False, width=64 + 16 * size) for size, name in enumerate(CLIPS)]


def jobs_of(clips: list[Path], **settings: object) -> list[DeblurJob]:
    encoding = Encoding("ffv1")
    return [DeblurJob(clip, clip.with_suffix(".mkv"), encoding=encoding, **settings) for clip in clips]  # type: ignore[arg-type]


def test_clips_side_by_side_are_bit_for_bit_those_of_one_process(clips: list[Path], tmp_path: Path) -> None:
    steps = list(deblur_clips(jobs_of(clips), ("cpu", "cpu")))
    reports = {step.number: step.progress.report for step in steps if step.progress and step.progress.report}
    assert sorted(reports) == [0, 1, 2]
    for number, clip in enumerate(clips):
        alone = deblur(clip, tmp_path / f"alone_{number}.mkv", encoding=Encoding("ffv1"), device="cpu")
        assert reports[number].frames == alone.frames == 8
        assert alone.frames_changed > 0
        assert np.array_equal(pictures(alone.target), pictures(reports[number].target))


def test_a_process_that_dies_costs_its_clip_alone(clips: list[Path]) -> None:
    killed = False
    ends = {}
    for step in deblur_clips(jobs_of(clips), ("cpu",)):
        if not killed and step.number == 1:
            for process in active_children():
                process.kill()
            killed = True
        if step.ends:
            ends[step.number] = step.fault
    assert isinstance(ends[1], SelfHVDError)
    assert "ended in the middle" in str(ends[1])
    assert ends[0] is None
    assert ends[2] is None


def test_leaving_early_takes_everything_unfinished_away(clips: list[Path], tmp_path: Path) -> None:
    with closing(deblur_clips(jobs_of(clips), ("cpu", "cpu"))) as steps:
        next(steps)
        assert active_children()
    assert not active_children()
    assert sorted(path.name for path in tmp_path.iterdir()) == list(CLIPS)


def test_a_device_that_is_not_there_ends_the_run_before_any_work(clips: list[Path]) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(EnvironmentFault):
        next(deblur_clips(jobs_of(clips), ("cpu", "cuda:0")))


def test_a_batch_shares_its_clips_out(clips: list[Path], tmp_path: Path) -> None:
    clips[1].write_bytes(b"nothing")
    result = CliRunner().invoke(
        selfhvd,
        ["deblur", *map(str, clips), "-o", f"{tmp_path}/new/", "--devices", "cpu,cpu", "--strength", "0",
         "--json", "--progress", "plain"],
    )  # fmt: skip
    assert result.exit_code == 8, result.stderr
    told = json.loads(result.stdout)
    assert [Path(each["source"]).name for each in told["done"]] == ["a.mp4", "c.mp4"]
    assert [Path(each["source"]).name for each in told["failed"]] == ["b.mp4"]
    assert told["failed"][0]["code"] == 4
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a_deblurred.mp4", "c_deblurred.mp4"]
    assert "[3/3] c.mp4: " in result.stderr


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
def test_an_interrupted_batch_leaves_nothing_unfinished(tmp_path: Path) -> None:
    clips = [make_clip(tmp_path / name, times=range(0, 4000, 20), sound=False) for name in CLIPS]
    weights = tmp_path / "w.safetensors"
    save_state_dict(weights, ARCHITECTURES["ifirnn"].build().state_dict(), {"architecture": "ifirnn"})
    before = sorted(tmp_path.iterdir())
    command = ["deblur", *map(str, clips), "--devices", "cpu,cpu", "--model", "ifirnn", "--weights", str(weights)]
    run = subprocess.Popen(
        [sys.executable, "-m", "selfhvd_cli", *command, "--progress", "json"],
        stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert run.stderr is not None
    for line in run.stderr:
        if '"phase": "deblur"' in line:
            break
    os.killpg(run.pid, signal.SIGINT)
    said = run.stderr.read()
    assert run.wait(60) == 130, said
    assert "interrupted after 0 of 3 clips" in said
    deadline = time.monotonic() + 20
    while sorted(tmp_path.iterdir()) != before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert sorted(tmp_path.iterdir()) == before
