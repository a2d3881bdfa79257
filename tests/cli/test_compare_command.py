"""`selfhvd compare` and `selfhvd still`: one command each, files that open, codes that tell."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from made_clips import shaken, write_folder, write_video

from selfhvd_cli.cli import selfhvd
from selfhvd_cli.compare_videos import compare_steps
from selfhvd_cli.comparing.job import CompareJob
from selfhvd_cli.errors import InputFault


def test_a_page_in_one_command(tmp_path: Path) -> None:
    one = write_video(tmp_path / "one.mp4", shaken([2, 0, 1]), sound=True)
    other = write_video(tmp_path / "other.mp4", shaken([0, 0, 0]))
    page = tmp_path / "page.html"
    words = ["compare", str(one), str(other), "-o", str(page), "--metrics", "sharpness", "--label", "before", "after"]
    result = CliRunner().invoke(selfhvd, [*words, "--json"])
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["shown"] == {"worst": 0, "median": 2, "best": 1}
    text = page.read_text(encoding="utf-8")
    assert "<!--" not in text.replace("<!doctype", ""), "every place is filled"
    assert "before / after" in text
    again = CliRunner().invoke(selfhvd, words)
    assert again.exit_code == 2
    assert "--overwrite" in again.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="names are UTF-8 there")
def test_a_page_of_names_that_are_no_utf_8(tmp_path: Path) -> None:
    one = write_folder(tmp_path / "one", shaken([2, 0])).rename(tmp_path / os.fsdecode(b"one\xff"))
    other = write_folder(tmp_path / "<!-- <script> other", shaken([0, 0]))
    page = tmp_path / "page.html"
    words = ["compare", str(one), str(other), "-o", str(page), "--metrics", "sharpness"]
    result = CliRunner().invoke(selfhvd, words)
    assert result.exit_code == 0, result.stderr
    text = page.read_text(encoding="utf-8")
    assert "one\ufffd" in text
    assert "<!--" not in text.replace("<!doctype", ""), "a comment would keep the script from ending"


def test_a_comparison_needs_to_know_what_to_make(tmp_path: Path) -> None:
    clip = str(write_folder(tmp_path / "clip", shaken([0])))
    assert CliRunner().invoke(selfhvd, ["compare", clip, clip]).exit_code == 2
    assert CliRunner().invoke(selfhvd, ["compare", clip, clip, "-o", str(tmp_path / "out.txt")]).exit_code == 2
    words = ["compare", clip, str(tmp_path / "none.mp4"), "-o", str(tmp_path / "a.png")]
    missing = CliRunner().invoke(selfhvd, words)
    assert missing.exit_code == 4


@pytest.mark.parametrize(
    ("name", "words"),
    [("a.mp4", ["--metrics", "sharpness"]), ("a.mp4", ["--every", "3"]), ("a.png", ["--also", "x.mp4"]),
     ("a.html", ["--layout", "split"]), ("a.png", ["--layout", "split"])],
)  # fmt: skip
def test_what_the_target_has_no_use_for_is_not_ignored(name: str, words: list[str], tmp_path: Path) -> None:
    clip = str(write_folder(tmp_path / "clip", shaken([0])))
    result = CliRunner().invoke(selfhvd, ["compare", clip, clip, "-o", str(tmp_path / name), *words])
    assert result.exit_code == 2
    assert words[0] in result.stderr
    assert not (tmp_path / name).exists()


def test_a_standing_default_may_have_no_use(tmp_path: Path) -> None:
    clip = str(write_folder(tmp_path / "clip", shaken([0, 1])))
    words = ["compare", clip, clip, "-o", str(tmp_path / "a.png")]
    result = CliRunner().invoke(selfhvd, words, env={"SELFHVD_LAYOUT": "split"})
    assert result.exit_code == 0, result.stderr


def test_a_sheet_is_kept_out_of_the_frames(tmp_path: Path) -> None:
    clip = write_folder(tmp_path / "clip", shaken([0, 1]))
    frame = next(clip.iterdir())
    before = frame.read_bytes()
    result = CliRunner().invoke(selfhvd, ["compare", str(clip), str(clip), "-o", str(frame), "-f"])
    assert result.exit_code == 2
    assert frame.read_bytes() == before


def test_another_video_that_is_missing_is_noticed_at_once(tmp_path: Path) -> None:
    clip = write_folder(tmp_path / "clip", shaken([0, 1]))
    job = CompareJob(clip, clip, tmp_path / "a.html", also=(tmp_path / "none.mp4",))
    with pytest.raises(InputFault, match="no such file"):
        next(compare_steps(job))


def test_stills_in_one_command(tmp_path: Path) -> None:
    clip = write_folder(tmp_path / "clip", shaken([2, 0, 2]))
    result = CliRunner().invoke(selfhvd, ["still", str(clip), "-o", str(tmp_path / "out"), "--count", "1", "--json"])
    assert result.exit_code == 0, result.stderr
    (only,) = json.loads(result.stdout)
    assert only["frame"] == 1
    assert Path(only["path"]).read_bytes().startswith(b"\xff\xd8")
