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


def test_a_plot_that_cannot_be_written_ends_with_7(tmp_path: Path) -> None:
    clip = write_folder(tmp_path / "clip", shaken([0, 2]))
    result = CliRunner().invoke(selfhvd, ["inspect", str(clip), "--plot", str(tmp_path / "no" / "map.png")])
    assert result.exit_code == 7
    assert "map.png" in result.stderr
