"""`selfhvd score`: a table with arrows, CSV, JSON, a plot."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner
from made_clips import shaken, write_folder

from selfhvd_cli.cli import selfhvd


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


def test_equal_pictures_are_valid_json(tmp_path: Path) -> None:
    clip = str(write_folder(tmp_path / "clip", shaken([0, 0])))
    result = CliRunner().invoke(selfhvd, ["score", clip, "--reference", clip, "--metrics", "psnr", "--json", "-q"])
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["videos"][0]["scores"][0]["interval"]["mean"] is None


def test_the_list_names_the_papers_metrics() -> None:
    result = CliRunner().invoke(selfhvd, ["score", "--list"])
    assert result.exit_code == 0
    assert {"musiq", "maniqa", "psnr", "piqe"} <= {line.split()[0] for line in result.stdout.splitlines()}


def test_bad_input_ends_with_its_code(tmp_path: Path) -> None:
    clip = str(write_folder(tmp_path / "clip", shaken([0])))
    assert CliRunner().invoke(selfhvd, ["score", clip, "--metrics", "sharpnes"]).exit_code == 2
    assert CliRunner().invoke(selfhvd, ["score", str(tmp_path / "none.mp4")]).exit_code == 4
    absent = CliRunner().invoke(
        selfhvd, ["score", clip, "--metrics", "musiq", "--offline"], env={"SELFHVD_WEIGHTS_DIR": str(tmp_path / "w")}
    )
    assert absent.exit_code == 5
    assert "selfhvd weights pull musiq" in absent.stderr
