"""The config file: defaults that the environment and the command line overrule, and faults that name the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from selfhvd_cli import bench_machine
from selfhvd_cli.bench_machine import BenchJob, BenchProgress, BenchReport
from selfhvd_cli.cli import deblur_runs, selfhvd
from selfhvd_cli.deblurring.job import DeblurJob


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    monkeypatch.setenv("SELFHVD_CONFIG", str(path))
    return path


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[DeblurJob]:
    seen: list[DeblurJob] = []
    monkeypatch.setattr(deblur_runs, "run_all", lambda console, batch, jobs, make_page: seen.extend(jobs))
    return seen


def run(*words: Any, **environment: str) -> Result:
    return CliRunner().invoke(selfhvd, [*map(str, words)], env=environment)


def test_the_nearer_word_wins(config: Path, jobs: list[DeblurJob]) -> None:
    config.write_text("seed = 3\nstrength = 0.5\n[deblur]\nstrength = 0.25\nstart = 5\n[adapt]\nsteps = 10\n")
    assert run("deblur", "clip.mp4").exit_code == 0
    assert run("deblur", "clip.mp4", SELFHVD_STRENGTH="0.75").exit_code == 0
    assert run("deblur", "clip.mp4", "--strength", "1", SELFHVD_STRENGTH="0.75").exit_code == 0
    assert [job.strength for job in jobs] == [0.25, 0.75, 1.0]
    assert {job.seed for job in jobs} == {3}
    assert {str(job.start) for job in jobs} == {"5s"}


def test_print_config_tells_origins_and_can_be_saved_as_config(
    config: Path, jobs: list[DeblurJob], tmp_path: Path
) -> None:
    config.write_text("[deblur]\nstrength = 0.25\noffline = true\n")
    result = run("deblur", "--print-config", "--crf", "20", SELFHVD_SEED="7")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert str(config) in lines[0]
    for line in ('strength = "0.25"  # config file', 'crf = "20"  # command line', 'seed = "7"  # environment',
                 'model = "lite"  # default', "# codec is not set"):  # fmt: skip
        assert line in lines
    assert jobs == []
    config.write_text(result.stdout)
    assert run("deblur", tmp_path / "clip.mp4").exit_code == 0
    assert (jobs[0].strength, jobs[0].encoding.crf, jobs[0].seed, jobs[0].offline) == (0.25, 20, 7, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("strenght = 1", "did you mean strength?"),
        ("[debulr]\nstrength = 1", r"[debulr] is nothing that can be set; did you mean deblur?"),
        ("[deblur]\nnice = 1", "nice is nothing"),
        ("[deblur]\noverwrite = true", "overwrite is nothing"),
        ("strength = 7", "strength = 7: 7.0 is not in the range"),
        ('model = "big"', "lite"),
        ("offline = 1", "true or false"),
        ("strength = true", "text or a number"),
        ('start = ["1s"]', 'start = ["1s"]: write text or a number.'),
        ('weights = ["lite"]', "write text or a number."),
        ("start = 1979-05-27", 'start = "1979-05-27": write text or a number.'),
        ("strength = ", "cannot be read"),
    ],
)
def test_a_config_file_that_means_nothing_is_refused_by_name(
    config: Path, jobs: list[DeblurJob], text: str, said: str
) -> None:
    config.write_text(text)
    result = run("deblur", "clip.mp4")
    assert result.exit_code == 2
    assert said in result.stderr
    assert str(config) in result.stderr
    assert jobs == []


def test_a_file_that_was_named_and_is_not_there_is_said(config: Path) -> None:
    result = run("deblur", "clip.mp4")
    assert result.exit_code == 2
    assert "no such config file" in result.stderr


def test_commands_within_commands_have_tables_too(config: Path) -> None:
    config.write_text("[weights.pull]\noffline = true\n")
    assert "offline = true  # config file" in run("weights", "pull", "--print-config").stdout
    config.write_text("[weights]\nprogress = 'none'\n")
    assert 'progress = "none"  # config file' in run("weights", "list", "--print-config").stdout
    assert run("weights", "list").exit_code == 0


def test_without_a_file_there_are_the_defaults(
    jobs: list[DeblurJob], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SELFHVD_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "(there is none yet)" in run("deblur", "--print-config").stdout
    assert run("deblur", "clip.mp4").exit_code == 0
    assert jobs == [DeblurJob(Path("clip.mp4"), Path("clip_deblurred.mp4"))]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    result = run("completion", shell)
    assert result.exit_code == 0, result.stderr
    assert "_SELFHVD_COMPLETE" in result.stdout


@pytest.mark.parametrize(
    ("words", "at", "expected"),
    [("selfhvd deb", "1", "deblur"), ("selfhvd deblur --str", "2", "--strength"),
     ("selfhvd deblur --model est", "3", "estrnn"), ("selfhvd weights pu", "2", "pull")],
)  # fmt: skip
def test_the_shell_is_told_what_comes_next(words: str, at: str, expected: str) -> None:
    asked = {"_SELFHVD_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": at}
    result = CliRunner().invoke(selfhvd, [], env=asked, prog_name="selfhvd")
    assert f"plain,{expected}" in result.output.splitlines()


def test_standing_defaults_that_have_no_use_in_a_run_stand_in_no_ones_way(
    config: Path, jobs: list[DeblurJob]
) -> None:
    config.write_text("steps = 500\n")
    assert run("deblur", "clip.mp4").exit_code == 0
    assert run("deblur", "clip.mp4", SELFHVD_STEPS="5").exit_code == 0
    assert len(jobs) == 2
    refused = run("deblur", "clip.mp4", "--steps", "5")
    assert refused.exit_code == 2
    assert "--steps belongs to --adapt" in refused.stderr


def test_one_value_stands_where_a_command_takes_several(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[BenchJob] = []

    def remember(job: BenchJob) -> Iterator[BenchProgress]:
        asked.append(job)
        yield BenchProgress("", 1, 1, report=BenchReport("cpu", "", 1, {}, (), None, ()))

    monkeypatch.setattr(bench_machine, "bench_steps", remember)
    config.write_text('model = "lite"\nprecision = "auto"\n')
    result = run("bench")
    assert result.exit_code == 0, result.stderr
    assert [(job.models, job.precisions) for job in asked] == [(("lite",), ("auto",))]
    config.write_text('model = ["lite", "rvrt"]\n')
    assert run("bench", SELFHVD_PRECISION="auto").exit_code == 0
    assert (asked[1].models, asked[1].precisions) == (("lite", "rvrt"), ("auto",))


def test_of_options_that_exclude_each_other_the_nearer_one_wins(config: Path, jobs: list[DeblurJob]) -> None:
    config.write_text('device = "cuda:7"\n')
    several = ("--devices", "cuda:0,cuda:1")
    for words, environment in (
        (several, {"SELFHVD_DEVICE": "cpu"}),
        (("--device", "cpu"), {"SELFHVD_DEVICES": "cuda:0,cuda:1"}),
        (("--device", "auto"), {"SELFHVD_DEVICES": "cuda:0,cuda:1"}),
        ((), {"SELFHVD_DEVICES": "cuda:0,cuda:1"}),
        (("-f",), {"SELFHVD_SKIP_EXISTING": "1"}),
    ):
        result = run("deblur", "clip.mp4", *words, **environment)
        assert result.exit_code == 0, result.stderr
    devices = [(job.device, len(job.devices)) for job in jobs]
    assert devices == [("auto", 2), ("cpu", 0), ("auto", 0), ("auto", 2), ("cuda:7", 0)]
    assert jobs[-1].overwrite
    both = run("deblur", "clip.mp4", "--device", "cpu", *several)
    assert both.exit_code == 2
    assert "contradict" in both.stderr
