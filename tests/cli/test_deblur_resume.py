"""What `selfhvd deblur` says about a long run that is cut off, and about one that goes on."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tiny_clips import frame_times, make_clip, use_sharpen

from selfhvd_cli.cli import deblur_runs, selfhvd
from selfhvd_cli.deblurring import settings
from selfhvd_cli.errors import DiskFault


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SELFHVD_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SELFHVD_WEIGHTS", str(use_sharpen(monkeypatch, tmp_path)))
    monkeypatch.setattr(settings, "SEGMENT", 4)
    (tmp_path / "in").mkdir()
    return make_clip(tmp_path / "in" / "clip.mp4", range(0, 260, 20), sound=False)


def deblur(*words: object) -> Result:
    options = ("--device", "cpu", "--precision", "fp32", "--preset", "ultrafast", "--progress", "none")
    return CliRunner().invoke(selfhvd, ["deblur", *map(str, words), *options])


def cut_off(monkeypatch: pytest.MonkeyPatch, fault: Callable[[], BaseException], *words: object) -> Result:
    """Run until eight frames or more are kept, and then into a fault."""

    def strike(outcome: object, job: object, step: object) -> None:
        watch(outcome, job, step)
        kept = getattr(step, "kept", None)
        if kept is not None and kept.frames >= 8:
            raise fault()

    watch = deblur_runs._Outcome.watch
    with monkeypatch.context() as patch:
        patch.setattr(deblur_runs._Outcome, "watch", strike)
        return deblur(*words)


def kept(result: Result) -> int:
    found = re.search(r"(\d+) of 13 frames are kept \(", result.stderr)
    assert found is not None, result.stderr
    return int(found[1])


def test_ctrl_c_says_what_is_kept_and_how_to_go_on(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = cut_off(monkeypatch, KeyboardInterrupt, clip)
    assert result.exit_code == 130
    assert f"interrupted; {kept(result)} of 13 frames are kept (" in result.stderr
    target = clip.with_name("clip_deblurred.mp4")
    assert f"the same command goes on from there, selfhvd jobs clean {target} removes them" in result.stderr
    assert result.stderr.count("Error (") == 1
    again = deblur(clip)
    assert again.exit_code == 0, again.stderr
    assert f"going on after the {kept(result)} frames kept of an interrupted run" in again.stderr
    assert f"13 frames, {kept(result)} of them before it was interrupted, in" in again.stderr
    assert sorted(path.name for path in clip.parent.iterdir()) == ["clip.mp4", "clip_deblurred.mp4"]


@pytest.mark.parametrize("name", ["my clip.mp4", "-h.mp4"])
def test_what_it_says_of_cleaning_is_true(clip: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    clip = clip.replace(clip.with_name(name))
    monkeypatch.chdir(clip.parent)
    result = cut_off(monkeypatch, KeyboardInterrupt, f"./{name}")
    said = re.search(r"selfhvd (jobs clean .*) removes them", result.stderr)
    assert said is not None, result.stderr
    assert CliRunner().invoke(selfhvd, shlex.split(said[1])).exit_code == 0
    assert [path.name for path in clip.parent.iterdir()] == [name]


def test_a_run_that_fails_says_it_too(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = cut_off(monkeypatch, lambda: DiskFault("the disk is full"), clip)
    assert result.exit_code == 7
    assert json.loads(deblur(clip, "--json").stdout)["done"][0]["frames_resumed"] == kept(result)


def test_in_a_batch_the_clips_that_are_done_are_left_aside(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_clip(clip.with_name("before.mp4"), sound=False, times=(0, 20))
    result = cut_off(monkeypatch, KeyboardInterrupt, clip.parent)
    assert result.exit_code == 130
    assert f"after 1 of 2 clips; {kept(result)} of 13 frames" in result.stderr
    assert "the same command with --skip-existing goes on" in result.stderr
    again = deblur(clip.parent, "--skip-existing")
    assert again.exit_code == 0, again.stderr
    assert f"going on after the {kept(result)} frames" in again.stderr
    assert len(frame_times(tmp_path / "in_deblurred" / "clip.mp4")) == 13


def test_nothing_is_kept_on_demand(clip: Path) -> None:
    assert deblur(clip, "--no-resume").exit_code == 0
    plain = clip.with_name("clip_deblurred.mp4").read_bytes()
    assert deblur(clip, "-f").exit_code == 0
    assert clip.with_name("clip_deblurred.mp4").read_bytes() != plain, "segments begin with keyframes"


def test_a_dry_run_tells_how_much_is_there(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = kept(cut_off(monkeypatch, KeyboardInterrupt, clip))
    result = deblur(clip, "--dry-run")
    assert f"it would go on after the {frames} frames kept of an interrupted run" in result.stderr
    assert "go on" not in deblur(clip, "--dry-run", "--no-resume").stderr
    assert "go on" not in deblur(clip, "--dry-run", "--strength", "0.3").stderr
