"""`selfhvd score`: a table with arrows, CSV, JSON, a plot."""

from __future__ import annotations

import itertools
import json
import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from made_clips import shaken, write_folder

from selfhvd_cli.cli import selfhvd
from selfhvd_cli.errors import InputFault
from selfhvd_cli.quality.job import ScoreJob
from selfhvd_cli.score_video import score_steps


def test_two_videos(tmp_path: Path) -> None:
    one = write_folder(tmp_path / "before" / "clip", shaken([1.5] * 4))
    other = write_folder(tmp_path / "after" / "clip", shaken([0] * 4))
    table, plot = tmp_path / "values.csv", tmp_path / "plot.png"
    words = ["score", str(one), str(other), "--metrics", "sharpness,shift", "--csv", str(table), "--plot", str(plot)]
    result = CliRunner().invoke(selfhvd, [*words, "--json"])
    assert result.exit_code == 0, result.stderr
    assert "before/clip" in result.stderr
    sharpness = next(line for line in result.stderr.splitlines() if line.startswith("sharpness"))
    assert sharpness.count("▲") == 1
    data = json.loads(result.stdout)
    assert data["videos"][1]["scores"][0]["direction"] == "better"
    assert len(table.read_text().splitlines()) == 1 + 2 * 4 + 4
    assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("command", ["score", "compare"])
def test_clips_of_one_name_are_told_apart_while_it_works(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [write_folder(tmp_path / name / "shot", shaken([0, 1, 2, 1])) for name in ("before", "after")]
    seconds = itertools.count()
    monkeypatch.setattr("selfhvd_cli.cli.progress.time.monotonic", lambda: float(next(seconds)))
    target = ["-o", str(tmp_path / "page.html")] if command == "compare" else []
    words = [command, *map(str, clips), "--metrics", "sharpness", "--progress", "json", *target]
    result = CliRunner().invoke(selfhvd, words)
    assert result.exit_code == 0, result.stderr
    lines = [json.loads(line) for line in result.stderr.splitlines() if line.startswith("{")]
    scored = [line for line in lines if "shot" in line["phase"]]
    assert [phase.removeprefix("score ") for phase in dict.fromkeys(line["phase"] for line in scored)] == [
        "before/shot",
        "after/shot",
    ]
    assert all(line["rate"] is None or line["rate"] > 0 for line in scored)


def test_equal_pictures_are_valid_json(tmp_path: Path) -> None:
    clip = str(write_folder(tmp_path / "clip", shaken([0, 0])))
    result = CliRunner().invoke(selfhvd, ["score", clip, "--reference", clip, "--metrics", "psnr", "--json", "-q"])
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["videos"][0]["scores"][0]["interval"]["mean"] is None


def test_the_list_names_the_papers_metrics() -> None:
    result = CliRunner().invoke(selfhvd, ["score", "--list"])
    assert result.exit_code == 0
    assert {"musiq", "maniqa", "psnr", "piqe"} <= {line.split()[0] for line in result.stdout.splitlines()}
    for words in (["--list", "--json"], ["--json", "--list"]):
        rows = json.loads(CliRunner().invoke(selfhvd, ["score", *words]).stdout)["metrics"]
        assert {"name": "psnr", "higher_is_better": True}.items() <= next(
            r for r in rows if r["name"] == "psnr"
        ).items()


@pytest.mark.parametrize(("option", "name"), [("--csv", "values.csv"), ("--plot", "plot.png")])
def test_what_is_written_beside_replaces_nothing_unasked(option: str, name: str, tmp_path: Path) -> None:
    clip = str(write_folder(tmp_path / "clip", shaken([0, 1])))
    words = ["score", clip, "--metrics", "sharpness", option]
    target = tmp_path / name
    target.write_text("mine")
    refused = CliRunner().invoke(selfhvd, [*words, str(target)])
    assert refused.exit_code == 2
    assert option in refused.stderr
    assert target.read_text() == "mine"
    assert CliRunner().invoke(selfhvd, [*words, str(target), "-f"]).exit_code == 0
    assert target.read_bytes() != b"mine"
    assert CliRunner().invoke(selfhvd, [*words, str(tmp_path / "clip.mov")]).exit_code == 2
    assert CliRunner().invoke(selfhvd, [*words, str(tmp_path / "no" / name)]).exit_code == 7


def test_the_video_that_is_scored_is_never_replaced(tmp_path: Path) -> None:
    clip = tmp_path / "clip.png"
    cv2.imwrite(str(clip), np.zeros((64, 64, 3), np.uint8))
    before = clip.read_bytes()
    words = ["score", str(clip), "--metrics", "sharpness", "--plot", str(clip), "-f"]
    assert CliRunner().invoke(selfhvd, words).exit_code == 2
    assert clip.read_bytes() == before


@pytest.mark.skipif(sys.platform != "linux", reason="names are UTF-8 there")
def test_a_name_that_is_no_utf_8_is_written_as_text(tmp_path: Path) -> None:
    clip = write_folder(tmp_path / "clip", shaken([0, 1])).rename(tmp_path / os.fsdecode(b"clip\xff"))
    table, plot = tmp_path / "values.csv", tmp_path / "plot.png"
    words = ["score", str(clip), "--metrics", "sharpness", "--csv", str(table), "--plot", str(plot)]
    result = CliRunner().invoke(selfhvd, words)
    assert result.exit_code == 0, result.stderr
    assert f"{tmp_path}/clip\ufffd,sharpness" in table.read_text(encoding="utf-8")
    assert plot.exists()
    assert not list(tmp_path.glob("*.part"))


def test_a_video_that_is_missing_is_noticed_before_any_is_scored(tmp_path: Path) -> None:
    clip = write_folder(tmp_path / "clip", shaken([0, 1]))
    (tmp_path / "words.mp4").write_text("no video")
    for missing in (tmp_path / "none.mp4", tmp_path / "words.mp4"):
        for job in (ScoreJob((clip, missing)), ScoreJob((clip,), reference=missing)):
            with pytest.raises(InputFault, match=missing.name):
                next(score_steps(job))


def test_bad_input_ends_with_its_code(tmp_path: Path) -> None:
    clip = str(write_folder(tmp_path / "clip", shaken([0])))
    assert CliRunner().invoke(selfhvd, ["score", clip, "--metrics", "sharpnes"]).exit_code == 2
    assert CliRunner().invoke(selfhvd, ["score", str(tmp_path / "none.mp4")]).exit_code == 4
    absent = CliRunner().invoke(
        selfhvd, ["score", clip, "--metrics", "musiq", "--offline"], env={"SELFHVD_WEIGHTS_DIR": str(tmp_path / "w")}
    )
    assert absent.exit_code == 5
    assert "selfhvd weights pull musiq" in absent.stderr
