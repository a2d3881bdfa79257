"""What `selfhvd deblur` makes of its command line: the exact jobs, no work."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from selfhvd_cli.cli import deblur_runs, selfhvd
from selfhvd_cli.deblurring.job import DeblurJob
from selfhvd_cli.moments import Moment
from selfhvd_cli.video.encoders import Encoding


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[DeblurJob]:
    """The jobs the command would run, in place of running them."""
    seen: list[DeblurJob] = []
    monkeypatch.setattr(deblur_runs, "run_all", lambda console, batch, jobs, make_page: seen.extend(jobs))
    return seen


def run(*arguments: Any, environment: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(selfhvd, ["deblur", *map(str, arguments)], env=environment)


def test_the_defaults(jobs: list[DeblurJob]) -> None:
    result = run("a/clip.mp4")
    assert result.exit_code == 0, result.stderr
    assert jobs == [DeblurJob(Path("a/clip.mp4"), Path("a/clip_deblurred.mp4"))]


def test_every_option_reaches_the_job(jobs: list[DeblurJob]) -> None:
    result = run(
        "clip.mp4", "-o", "new.mkv", "--model", "rvrt", "--weights", "w.safetensors", "--strength", "0.5",
        "--device", "cuda:1", "--precision", "bf16", "--tile", "256", "--window", "7", "--max-memory", "6G",
        "--start", "1:02.5", "--duration", "120f", "--codec", "hevc", "--crf", "20", "--preset", "slow", "--hardware",
        "--seed", "3", "--offline", "-f", "-q", "--json", "--progress", "none",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert jobs == [
        DeblurJob(
            source=Path("clip.mp4"),
            target=Path("new.mkv"),
            model="rvrt",
            weights="w.safetensors",
            strength=0.5,
            device="cuda:1",
            precision="bf16",
            window=7,
            tile=256,
            max_memory=6 * 2**30,
            start=Moment(Fraction(125, 2)),
            duration=Moment(Fraction(120), "f"),
            encoding=Encoding("hevc", 20, "slow", hardware=True),
            overwrite=True,
            offline=True,
            seed=3,
        )
    ]


def test_habits_from_ffmpeg_are_understood_and_not_listed(jobs: list[DeblurJob]) -> None:
    ours = run("clip.mp4", "--codec", "av1", "--crf", "30", "--start", "5", "--duration", "2", "--overwrite")
    theirs = run("-ss", "5", "-t", "2", "clip.mp4", "-c:v", "av1", "-crf", "30", "-y")
    assert (ours.exit_code, theirs.exit_code) == (0, 0), theirs.stderr
    assert jobs[0] == jobs[1]
    assert "-c:v" not in run("--help").output


def test_the_environment_mirrors_options_and_yields_to_them(jobs: list[DeblurJob]) -> None:
    environment = {"SELFHVD_STRENGTH": "0.25", "SELFHVD_MAX_MEMORY": "500M", "HF_HUB_OFFLINE": "1"}
    assert run("clip.mp4", environment=environment).exit_code == 0
    assert run("clip.mp4", "--strength", "1", environment=environment).exit_code == 0
    assert [job.strength for job in jobs] == [0.25, 1.0]
    assert jobs[0].max_memory == 500 * 2**20
    assert jobs[0].offline


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--strength", "1.5", "1.5"),
        ("--strength", "much", "much"),
        ("--model", "litte", "lite"),
        ("--codec", "divx", "h264"),
        ("--crf", "64", "63"),
        ("--preset", "warp", "slow"),
        ("--tile", "10", "at least 64"),
        ("--window", "none", "auto"),
        ("--max-memory", "0", "6G"),
        ("--max-memory", "lots", "6G"),
        ("--start", "-3", "1:02.5"),
        ("--duration", "5 minutes", "120f"),
        ("--precision", "int8", "bf16"),
        ("--progress", "loud", "plain"),
        ("--seed", "-1", "0"),
    ],
)
def test_malformed_values_end_before_any_work(jobs: list[DeblurJob], option: str, value: str, said: str) -> None:
    result = run("clip.mp4", option, value)
    assert result.exit_code == 2
    assert said in result.stderr
    assert jobs == []


def test_contradictions_and_missing_input_are_usage(jobs: list[DeblurJob], tmp_path: Path) -> None:
    assert run().exit_code == 2
    assert "contradict" in run("clip.mp4", "-f", "--skip-existing").stderr
    several = run("a.mp4", "b.mp4", "-o", "out.mp4")
    assert several.exit_code == 2
    assert "must be a folder" in several.stderr
    assert jobs == []


def test_words_after_the_double_dash_are_files(jobs: list[DeblurJob]) -> None:
    assert run("-f", "--", "-y").exit_code == 0
    assert jobs[0].source == Path("-y")


def test_no_result_takes_the_place_of_another_input(jobs: list[DeblurJob], tmp_path: Path) -> None:
    for name in ("clips/one.mp4", "clips/sub/one.mp4", "out/two.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "new").symlink_to(tmp_path / "clips/sub", target_is_directory=True)
    for place in ("clips/sub", "new"):
        for wish in ((), ("-f",)):
            result = run(tmp_path / "clips", "-o", tmp_path / place, *wish)
            assert result.exit_code == 2, wish
            assert f"{place}/one.mp4: the result of {tmp_path}/clips/one.mp4 would take the place" in result.stderr
    assert jobs == []
    assert run(tmp_path / "clips", "-o", tmp_path / "out", "-f").exit_code == 0
    assert run(tmp_path / "clips", "-o", tmp_path / "clips/sub", "--skip-existing").exit_code == 0
    assert [job.target for job in jobs[2:]] == [tmp_path / "clips/sub/sub/one.mp4"]
