"""`deblur --report` and `deblur --taste`: all at once, refused before any work where they cannot be."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tiny_clips import make_clip, use_sharpen

from selfhvd_cli.cli import deblur_pages, selfhvd
from selfhvd_cli.errors import DiskFault


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    return use_sharpen(monkeypatch, tmp_path)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(selfhvd, ["deblur", *map(str, arguments)])


def test_a_report_with_the_result(tmp_path: Path, weights: Path) -> None:
    clip, page = make_clip(tmp_path / "clip.mp4"), tmp_path / "page.html"
    result = run(clip, "--weights", weights, "--report", page, "--offline", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["done"][0]["frames"] == 8
    assert "open it in a browser" in result.stderr
    assert f"selfhvd deblur {clip} --weights {weights}" in page.read_text(encoding="utf-8")


def test_a_folder_of_pages(tmp_path: Path, weights: Path) -> None:
    clips = [make_clip(tmp_path / name, times=(0, 20, 40), sound=False) for name in ("a.mp4", "b.mov")]
    result = run(*clips, "--weights", weights, "--report", f"{tmp_path}/pages/", "--offline")
    assert result.exit_code == 0, result.stderr
    assert sorted(path.name for path in (tmp_path / "pages").iterdir()) == ["a_deblurred.html", "b_deblurred.html"]


def test_a_folder_of_pages_may_be_named_as_windows_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = [make_clip(tmp_path / name, times=(0, 20), sound=False) for name in ("a.mp4", "b.mp4")]
    monkeypatch.setattr(os, "sep", "\\")
    result = run(*clips, "--report", "pages\\", "--dry-run", "--offline")
    assert result.exit_code == 0, result.stderr


def test_what_cannot_be_a_page_is_refused_before_any_work(tmp_path: Path, weights: Path) -> None:
    clip, other = (make_clip(tmp_path / name, times=(0, 20)) for name in ("clip.mp4", "other.mp4"))
    there = tmp_path / "there.html"
    there.write_bytes(b"mine")
    for words, said, code in (
        ((clip, "--report", tmp_path / "page.pdf"), ".html", 2),
        ((clip, "--report", there), "--overwrite", 2),
        ((clip, other, "--report", tmp_path / "page.html"), "folder", 2),
        ((clip, "--report", tmp_path / "none" / "page.html"), "does not exist", 7),
        ((clip, "--report", f"{there}/"), "is a file", 7),
        ((clip, other, "--taste"), "one clip", 2),
        ((clip, "--taste", "--adapt"), "one clip", 2),
    ):
        result = run(*words, "--weights", weights)
        assert result.exit_code == code, result.stderr
        assert said in result.stderr
    assert there.read_bytes() == b"mine"
    assert not (tmp_path / "clip_deblurred.mp4").exists()


def test_a_page_that_fails_after_all_ends_the_run_with_one_and_the_same_code(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Iterator[None]:
        raise DiskFault("page.html: the disk is full.")
        yield

    monkeypatch.setattr(deblur_pages, "report_steps", fail)
    clip = make_clip(tmp_path / "clip.mp4", times=(0, 20, 40), sound=False)
    result = run(clip, "--weights", weights, "--report", tmp_path / "page.html", "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["exit"]) == (7, {"code": 7, "name": "disk"})
    assert [each["target"] for each in told["done"]] == [str(tmp_path / "clip_deblurred.mp4")]
    assert result.stderr.count("the disk is full") == 1


def test_a_taste_prints_the_command_for_the_rest(tmp_path: Path, weights: Path) -> None:
    clip = make_clip(tmp_path / "my clip.mp4")
    result = run(clip, "--taste", "--weights", weights, "--strength", "0.5", "--json")
    assert result.exit_code == 0, result.stderr
    command = f"selfhvd deblur '{clip}' --weights {weights} --strength 0.5 --json"
    assert command in result.stderr
    assert json.loads(result.stdout)["command"] == command
    assert (tmp_path / "my clip_taste.mp4").exists()
    assert not (tmp_path / "my clip_deblurred.mp4").exists()


def test_a_taste_goes_where_the_result_would(tmp_path: Path, weights: Path) -> None:
    (tmp_path / "clips").mkdir()
    make_clip(tmp_path / "clips" / "clip.mp4", times=(0, 20, 40), sound=False)
    for words, place in ((("-o", f"{tmp_path}/new/"), "new"), ((), "clips_deblurred")):
        result = run(tmp_path / "clips", "--taste", "--weights", weights, *words)
        assert result.exit_code == 0, result.stderr
        assert [path.name for path in (tmp_path / place).iterdir()] == ["clip_taste.mp4"]


def test_a_taste_beside_a_finished_result_leaves_it_and_does_not_propose_to_replace_it(
    tmp_path: Path, weights: Path
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", times=(0, 20, 40), sound=False)
    done = tmp_path / "clip_deblurred.mp4"
    done.write_bytes(b"precious")
    first = run(clip, "--taste", "--weights", weights, "--skip-existing")
    assert first.exit_code == 0, first.stderr
    again = run("-qf", clip, "--taste", "--weights", weights, "--overwrite", "-y", "--json")
    assert again.exit_code == 0, again.stderr
    assert json.loads(again.stdout)["command"] == f"selfhvd deblur -q {clip} --weights {weights} --json"
    assert done.read_bytes() == b"precious"
