"""Bad input, bad output, interruption: one clear message, the right exit code, nothing left behind, nothing lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tiny_clips import frame_times, make_clip, make_frames, make_sound, use_sharpen

from selfhvd_cli.cli import deblur_runs, selfhvd
from selfhvd_cli.cli.console import Console
from selfhvd_cli.deblurring.job import DeblurJob


def deblur(*arguments: object) -> Result:
    return CliRunner().invoke(selfhvd, ["deblur", "--strength", "0", *map(str, arguments)])


def assert_refused(result: Result, code: int, said: str) -> None:
    """The code, one message that names the matter, no traceback, no data."""
    assert result.exit_code == code, result.stderr
    assert said in result.stderr
    assert result.stderr.count("Error (") == 1
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return make_clip(tmp_path / "in" / "clip.mp4")


def test_a_missing_file(tmp_path: Path) -> None:
    assert_refused(deblur(tmp_path / "gone.mp4"), 4, "no such file")
    assert not list(tmp_path.iterdir())


def test_a_folder_without_frames(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert_refused(deblur(tmp_path / "empty"), 4, "neither video files nor")


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "empty"), (b"this is a letter, not a film\n" * 40, "is text, not a recording")]
)
def test_files_that_are_no_video(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "clip.mp4").write_bytes(content)
    assert_refused(deblur(tmp_path / "clip.mp4"), 4, said)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_a_single_picture_is_no_clip(tmp_path: Path, options: tuple[str, ...]) -> None:
    picture = next(iter(sorted(make_frames(tmp_path / "frames").iterdir())))
    assert_refused(deblur(picture, *options), 2, "is a single picture")
    assert [path.name for path in tmp_path.iterdir()] == ["frames"]


def test_a_file_cut_off_before_its_index(clip: Path) -> None:
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    assert_refused(deblur(clip), 4, "its index is missing")
    assert_refused(deblur(clip, "--salvage"), 4, "its index is missing")
    assert [path.name for path in clip.parent.iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize("ending", ["mkv", "mp4", "avi"])
def test_a_file_cut_off_in_its_pictures_gives_those_that_are_there_to_who_asks(tmp_path: Path, ending: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    whole = make_clip(folder / f"clip.{ending}", times=range(0, 24 * 20, 20), sound=False)
    if ending == "mp4":  # as cameras leave it, but with the index in front
        assert deblur(whole, "-o", folder / "front.mp4").exit_code == 0
        whole = (folder / "front.mp4").replace(whole)
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    assert_refused(deblur(whole), 4, "--salvage")
    assert [path.name for path in folder.iterdir()] == [whole.name]
    result = deblur(whole, "--salvage", "-o", tmp_path / "out.mkv")
    assert result.exit_code == 0, result.stderr
    frames = len(frame_times(tmp_path / "out.mkv"))
    assert 5 <= frames < 24
    assert f"salvaged {frames}" in result.stderr
    assert "bytes are missing" in result.stderr


def test_sound_without_pictures(tmp_path: Path) -> None:
    assert_refused(deblur(make_sound(tmp_path / "voice.m4a")), 4, "no video")
    assert [path.name for path in tmp_path.iterdir()] == ["voice.m4a"]


def test_an_output_in_no_folder_or_below_a_file(clip: Path, tmp_path: Path) -> None:
    assert_refused(deblur(clip, "-o", tmp_path / "gone" / "out.mp4"), 7, "does not exist")
    assert_refused(deblur(clip, "-o", f"{clip}/"), 7, "cannot be made")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_an_output_where_writing_is_forbidden(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o555)
    assert_refused(deblur(clip, "-o", tmp_path / "locked" / "out.mp4"), 7, "permission")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser may look everywhere")
def test_an_input_where_looking_is_forbidden(clip: Path) -> None:
    clip.parent.chmod(0)
    try:
        assert_refused(deblur(clip), 4, "no permission")
    finally:
        clip.parent.chmod(0o755)


def test_an_output_that_is_no_file_or_has_too_long_a_name(clip: Path, tmp_path: Path) -> None:
    assert_refused(deblur(clip, "-o", tmp_path / f"{'x' * 300}.mp4"), 7, "too long")
    assert_refused(deblur(clip, "-o", tmp_path / f"{'x' * 249}.mp4"), 7, "too long")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.mp4")
        assert_refused(deblur(clip, "-o", tmp_path / "pipe.mp4", "-f"), 2, "no file")
    assert not list(tmp_path.glob("*.part"))


def test_an_output_of_unknown_kind(clip: Path, tmp_path: Path) -> None:
    assert_refused(deblur(clip, "-o", tmp_path / "out.docx"), 2, ".mp4")


@pytest.mark.parametrize("link", ["none", "symbolic", "hard"])
def test_the_input_as_output_is_refused_even_with_overwrite(clip: Path, tmp_path: Path, link: str) -> None:
    target = clip
    if link != "none":
        target = tmp_path / "alias.mp4"
        (target.symlink_to if link == "symbolic" else target.hardlink_to)(clip)
    before = clip.read_bytes()
    assert_refused(deblur(clip, "-o", target, "-f"), 2, "input itself")
    assert clip.read_bytes() == before


def test_an_existing_output_is_kept_skipped_or_replaced_as_asked(clip: Path) -> None:
    target = clip.with_name("clip_deblurred.mp4")
    target.write_bytes(b"precious")
    assert_refused(deblur(clip), 2, "--overwrite")
    skipped = deblur(clip, "--skip-existing", "--json")
    assert skipped.exit_code == 0
    assert json.loads(skipped.stdout)["skipped"] == [str(clip)]
    assert target.read_bytes() == b"precious"
    assert deblur(clip, "--overwrite").exit_code == 0
    assert len(frame_times(target)) == 8


def test_an_existing_output_of_a_batch_is_refused_before_any_work(clip: Path) -> None:
    second = make_clip(clip.with_name("second.mp4"))
    second.with_name("second_deblurred.mp4").write_bytes(b"precious")
    assert_refused(deblur(clip, second), 2, "second_deblurred.mp4")
    assert not clip.with_name("clip_deblurred.mp4").exists()


def test_a_device_that_is_not_there(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert_refused(deblur(clip, "--device", "cuda"), 3, "--device cpu")


def test_one_bad_file_does_not_keep_the_others_from_it(clip: Path) -> None:
    (clip.parent / "broken.mp4").write_bytes(b"nothing")
    make_frames(clip.parent / "frames")
    result = deblur(clip.parent, "--json", "--progress", "none")
    assert result.exit_code == 8
    told = json.loads(result.stdout)
    assert {Path(each["target"]).name for each in told["done"]} == {"clip.mp4", "frames"}
    assert [(Path(each["source"]).name, each["code"]) for each in told["failed"]] == [("broken.mp4", 4)]
    assert told["exit"] == {"code": 8, "name": "batch partly failed"}
    assert "broken.mp4" in result.stderr
    made = clip.parent.with_name("in_deblurred")
    assert sorted(path.name for path in made.iterdir()) == ["clip.mp4", "frames"]


def test_what_failed_before_an_interruption_is_said(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (clip.parent / "broken.mp4").write_bytes(b"nothing")
    run = deblur_runs._run

    def interrupted(console: Console, job: DeblurJob, *rest: Any) -> Any:
        if job.source == clip:
            raise KeyboardInterrupt
        return run(console, job, *rest)

    monkeypatch.setattr(deblur_runs, "_run", interrupted)
    result = deblur(clip.parent / "broken.mp4", clip, "--json")
    assert result.exit_code == 130
    assert "broken.mp4: is text, not a recording" in result.stderr
    told = json.loads(result.stdout)
    assert [each["code"] for each in told["failed"]] == [4]
    assert told["exit"] == {"code": 130, "name": "interrupted"}


def test_words_of_a_run_begin_with_the_device_and_end_with_the_file(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = use_sharpen(monkeypatch, tmp_path)
    target = tmp_path / "out.mp4"
    arguments = ["deblur", clip, "-o", target, "--weights", weights, "--device", "cpu", "--precision", "fp32"]
    result = CliRunner().invoke(selfhvd, list(map(str, arguments)))
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[0].startswith("running on cpu (fp32")
    assert lines[-1].startswith(f"{target}: ")
    assert "→" in lines[-1]
    assert any(line.startswith("sharpness ") for line in lines)
    assert any(line.startswith("kept: 8 frames") for line in lines)
    assert CliRunner().invoke(selfhvd, [*map(str, arguments), "-f", "-q"]).stderr == ""


SLOW_RUN = """
import signal, sys, time
import pytest, tiny_clips
from pathlib import Path
from selfhvd_cli.cli import deblur_runs, selfhvd
from selfhvd_cli.cli.console import Console
from selfhvd_cli.deblurring.job import DeblurJob

# A shell that runs the tests in the background has its children ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

class Slow(tiny_clips.Sharpen):
    def forward(self, frames):
        time.sleep(0.3)
        return super().forward(frames)

tiny_clips.Sharpen = Slow
patch = pytest.MonkeyPatch()
weights = tiny_clips.use_sharpen(patch, Path(sys.argv[1]).parent)
selfhvd(["deblur", sys.argv[1], "-o", sys.argv[2], "-f", "--weights", str(weights), "--device", "cpu",
         "--progress", "json", "--window", "2"], prog_name="selfhvd")
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of another kind")
def test_an_interrupted_run_leaves_the_old_output_and_nothing_else(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "clip.mp4", times=range(0, 20 * 120, 20))
    out = tmp_path / "out"
    out.mkdir()
    (out / "old.mp4").write_bytes(b"precious")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    run = subprocess.Popen(
        [sys.executable, "-c", SLOW_RUN, str(source), str(out / "old.mp4")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert run.stderr is not None
    seen = ""
    for line in run.stderr:
        seen += line
        if '"phase": "deblur"' in line:
            break
    assert len(list(out.iterdir())) == 2, seen
    run.send_signal(signal.SIGINT)
    rest = run.communicate(timeout=60)[1]
    assert run.returncode == 130, rest
    assert "Error (130, interrupted)" in rest
    assert "Traceback" not in rest
    assert [path.name for path in out.iterdir()] == ["old.mp4"]
    assert (out / "old.mp4").read_bytes() == b"precious"


@pytest.mark.skipif(not hasattr(signal, "SIGPIPE"), reason="pipes of another kind")
def test_a_reader_that_has_seen_enough_ends_the_run_quietly() -> None:
    run = subprocess.Popen(
        [sys.executable, "-m", "selfhvd_cli", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    run.stdout.close()
    assert run.wait(timeout=60) in (0, 1)
    assert run.stderr is not None
    assert "Traceback" not in run.stderr.read()
