"""The interrupted runs of a machine: listing them, and clearing away what they keep."""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tiny_clips import make_clip, use_sharpen

from selfhvd_cli import jobs
from selfhvd_cli.adaptation.record import Log
from selfhvd_cli.cli import selfhvd
from selfhvd_cli.deblur_video import deblur_steps
from selfhvd_cli.deblurring import settings
from selfhvd_cli.deblurring.job import DeblurJob
from selfhvd_cli.deblurring.kept import MANIFEST, folders_for
from selfhvd_cli.errors import UsageFault
from selfhvd_cli.list_jobs import clean_jobs
from selfhvd_cli.video.encoders import Encoding
from selfhvd_cli.weights.locate import adapted_folder


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeblurJob:
    monkeypatch.setenv("SELFHVD_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(settings, "SEGMENT", 4)
    monkeypatch.chdir(tmp_path)
    weights = use_sharpen(monkeypatch, tmp_path)
    (tmp_path / "in").mkdir()
    clip = make_clip(tmp_path / "in" / "clip.mp4", range(0, 300, 20), sound=False)
    encoding = Encoding(preset="ultrafast")
    return DeblurJob(
        clip, clip.with_name("out.mp4"), weights=str(weights), device="cpu", precision="fp32", encoding=encoding
    )


def cut_off(job: DeblurJob) -> Path:
    with closing(deblur_steps(job)) as steps:
        next(step for step in steps if step.kept is not None)
    return folders_for(job.target)[0]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(selfhvd, ["jobs", *arguments])


def test_nothing_is_listed_where_nothing_is_kept(job: DeblurJob) -> None:
    assert jobs() == []
    result = run("list")
    assert result.exit_code == 0
    assert "no interrupted run keeps anything" in result.stderr
    assert json.loads(run("list", "--json").stdout) == {"jobs": []}


def test_an_interrupted_run_is_listed_with_all_one_wants_to_know(job: DeblurJob) -> None:
    folder = cut_off(job)
    (found,) = jobs()
    assert (found.command, found.state, found.unit, found.total) == ("deblur", "interrupted", "frames", 15)
    assert (found.output, found.source, found.kept) == (job.target, job.source, folder)
    assert found.done in (4, 8, 12)
    assert found.bytes == sum(path.stat().st_size for path in folder.iterdir())
    assert 0 <= found.age < 600
    line = run("list").stderr.splitlines()[1]
    for word in ("deblur", str(job.target), "clip.mp4", f"{found.done} of 15 frames", "now", "interrupted"):
        assert word in line
    assert json.loads(run("list", "--json").stdout)["jobs"][0]["done"] == found.done


def test_a_disk_from_another_machine_is_looked_through(job: DeblurJob, tmp_path: Path) -> None:
    folder = cut_off(job)
    shutil.rmtree(tmp_path / "data")
    assert jobs() == []
    (found,) = jobs([tmp_path])
    assert found.kept == folder
    assert [each.kept for each in jobs(str(tmp_path))] == [folder]
    assert jobs([tmp_path / "in"]) == [found] or jobs([tmp_path / "in"])[0].kept == folder
    with pytest.raises(UsageFault, match="no such folder"):
        jobs([tmp_path / "nowhere"])


def test_a_running_one_is_called_so_and_never_removed(job: DeblurJob) -> None:
    with closing(deblur_steps(job)) as steps:
        next(step for step in steps if step.kept is not None)
        assert [each.state for each in jobs()] == ["running"]
        assert list(clean_jobs(everything=True)) == []
        with pytest.raises(UsageFault, match="at work on it"):
            list(clean_jobs([job.target]))
        for _ in steps:
            pass
    assert job.target.exists()
    assert jobs() == []


def test_without_arguments_only_what_is_of_no_use_goes(job: DeblurJob) -> None:
    folder = cut_off(job)
    assert list(clean_jobs()) == []
    clip = job.source.read_bytes()
    job.source.unlink()
    assert [each.state for each in jobs()] == ["input gone"]
    job.source.write_bytes(clip[:-10])
    assert [each.state for each in jobs()] == ["input changed"]
    result = run("clean", "-n")
    assert "would be freed" in result.stderr
    assert folder.exists()
    assert run("clean").exit_code == 0
    assert not folder.exists()
    assert jobs() == []
    assert not any((job.source.parent.parent / "data" / "jobs").iterdir())


def test_damaged_ones_go(job: DeblurJob) -> None:
    folder = cut_off(job)
    (folder / MANIFEST).write_text("{")
    assert [each.state for each in jobs()] == ["damaged"]
    assert [each.kept for each in clean_jobs()] == [folder]
    assert not folder.exists()


def test_a_run_that_was_killed_when_all_was_done_left_nothing_of_use(job: DeblurJob, tmp_path: Path) -> None:
    folder = cut_off(job)
    shutil.copytree(folder, tmp_path / "kept")
    for _ in deblur_steps(job):
        pass
    shutil.copytree(tmp_path / "kept", folder)
    (found,) = jobs([job.target.parent])
    assert found.state == "finished"
    assert run("clean", str(job.target)).exit_code == 0
    assert sorted(path.name for path in job.target.parent.iterdir()) == ["clip.mp4", "out.mp4"]


@pytest.mark.parametrize("name", ["output", "folder"])
def test_one_is_named_and_goes(job: DeblurJob, tmp_path: Path, name: str) -> None:
    folder = cut_off(job)
    shutil.rmtree(tmp_path / "data")  # also where nothing is noted
    result = run("clean", str(job.target if name == "output" else folder))
    assert result.exit_code == 0, result.stderr
    assert not folder.exists()
    assert sorted(path.name for path in job.source.parent.iterdir()) == ["clip.mp4"]


def test_what_is_not_kept_cannot_be_cleaned(job: DeblurJob) -> None:
    result = run("clean", str(job.source))
    assert result.exit_code == 2
    assert "nothing is kept for it" in result.stderr
    assert job.source.exists()


def test_old_ones_go_by_their_age(job: DeblurJob) -> None:
    folder = cut_off(job)
    values = json.loads((folder / MANIFEST).read_text())
    values["updated"] = time.time() - 3 * 86400
    (folder / MANIFEST).write_text(json.dumps(values))
    assert run("clean", "--older", "4d").exit_code == 0
    assert folder.exists()
    assert "3 d" in run("list").stderr
    assert run("clean", "--older", "48h").exit_code == 0
    assert not folder.exists()
    assert run("clean", "--older", "soon").exit_code == 2


def test_a_clock_that_was_set_back_makes_nothing_old(job: DeblurJob, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = cut_off(job)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 5 * 3600)
    (found,) = jobs()
    assert found.age == 0
    assert list(clean_jobs(older=60)) == []
    assert folder.exists()


def test_checkpoints_of_adapt_are_listed_too(job: DeblurJob) -> None:
    folder = adapted_folder() / "0123"
    folder.mkdir(parents=True)
    checkpoint = folder / "clip-lite.safetensors.checkpoint"
    checkpoint.write_bytes(b"x" * 1000)
    (folder / "clip-lite.log.jsonl").write_text('{"step": 1}\n{"step": 150}\n')
    (found,) = jobs()
    assert (found.command, found.done, found.unit, found.bytes) == ("adapt", 150, "steps", 1000)
    assert found.output == folder / "clip-lite.safetensors"
    assert list(clean_jobs()) == []
    assert run("clean", str(found.output)).exit_code == 0
    assert not checkpoint.exists()


def test_a_running_adapt_is_called_so_and_keeps_its_checkpoint(job: DeblurJob) -> None:
    folder = adapted_folder() / "0123"
    folder.mkdir(parents=True)
    checkpoint = folder / "clip-lite.safetensors.checkpoint"
    checkpoint.write_bytes(b"x")
    log = Log(folder / "clip-lite.log.jsonl", 0)
    assert [each.state for each in jobs()] == ["running"]
    assert list(clean_jobs(everything=True)) == []
    with pytest.raises(UsageFault, match="at work on it"):
        list(clean_jobs([checkpoint]))
    assert checkpoint.exists()
    log.close()
    assert [each.state for each in jobs()] == ["interrupted"]


def test_a_foreign_folder_of_that_name_is_left_alone(job: DeblurJob) -> None:
    foreign = job.source.parent / "out.mp4.12345678.resume"
    foreign.mkdir()
    (foreign / "letter.txt").write_text("dear")
    assert list(clean_jobs(everything=True)) == []
    with pytest.raises(UsageFault, match="nothing is kept"):
        list(clean_jobs([foreign]))
    link = job.source.parent / "out.mp4.87654321.resume"
    if os.name != "nt":
        link.symlink_to(cut_off(job), target_is_directory=True)
        assert link not in [each.kept for each in jobs([job.source.parent])]
    assert (foreign / "letter.txt").exists()
