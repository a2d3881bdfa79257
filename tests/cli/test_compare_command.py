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


def test_stills_in_one_command(tmp_path: Path) -> None:
    clip = write_folder(tmp_path / "clip", shaken([2, 0, 2]))
    result = CliRunner().invoke(selfhvd, ["still", str(clip), "-o", str(tmp_path / "out"), "--count", "1", "--json"])
    assert result.exit_code == 0, result.stderr
    (only,) = json.loads(result.stdout)
    assert only["frame"] == 1
    assert Path(only["path"]).read_bytes().startswith(b"\xff\xd8")
