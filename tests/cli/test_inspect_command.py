"""`selfhvd inspect`: words for people, JSON for programs, a plot for both."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
from click.testing import CliRunner
from made_clips import shaken, write_folder

from selfhvd_cli.cli import selfhvd


def test_words_plot_and_json(tmp_path: Path) -> None:
    clip = write_folder(tmp_path / "clip", shaken([0, 0, 0, 2, 2, 0, 0, 0, 2, 2]))
    plot = tmp_path / "map.png"
    result = CliRunner().invoke(selfhvd, ["inspect", str(clip), "--plot", str(plot), "--no-estimate", "--json"])
    assert result.exit_code == 0, result.stderr
    assert "deblurring will help" in result.stderr
    assert f"selfhvd deblur {clip}" in result.stderr
    data = json.loads(result.stdout)
    assert [frame["sharp"] for frame in data["frames"]] == [True] * 3 + [False] * 2 + [True] * 3 + [False] * 2
    assert data["verdict"] == "uneven"
    picture = cv2.imread(str(plot))
    assert picture.shape[1] > 800
    assert picture.min() < 100, "the plot shows something"
    assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []


def test_a_missing_clip_ends_with_4(tmp_path: Path) -> None:
    result = CliRunner().invoke(selfhvd, ["inspect", str(tmp_path / "none.mp4"), "--json"])
    assert result.exit_code == 4
    assert json.loads(result.stdout)["error"]["code"] == 4


def test_a_plot_that_cannot_be_written_ends_with_7_before_anything_is_read(tmp_path: Path) -> None:
    words = ["inspect", str(tmp_path / "none.mp4"), "--plot", str(tmp_path / "no" / "map.png")]
    result = CliRunner().invoke(selfhvd, words)
    assert result.exit_code == 7
    assert "map.png" in result.stderr
    assert "--plot" in result.stderr


def test_a_plot_replaces_no_other_file(tmp_path: Path) -> None:
    clip = write_folder(tmp_path / "clip", shaken([0, 2]))
    words = ["inspect", str(clip), "--no-estimate", "--plot"]
    mine = tmp_path / "mine.png"
    mine.write_text("mine")
    assert CliRunner().invoke(selfhvd, [*words, str(mine)]).exit_code == 2
    assert mine.read_text() == "mine"
    assert CliRunner().invoke(selfhvd, [*words, str(tmp_path / "map.mov")]).exit_code == 2
    frame = next(clip.iterdir())
    before = frame.read_bytes()
    for target in (frame, clip / "map.png"):
        assert CliRunner().invoke(selfhvd, [*words, str(target), "-f"]).exit_code == 2
    assert frame.read_bytes() == before
    assert len(list(clip.iterdir())) == 2
    result = CliRunner().invoke(selfhvd, [*words, str(mine), "-f"])
    assert result.exit_code == 0, result.stderr
    assert mine.read_bytes().startswith(b"\x89PNG")
