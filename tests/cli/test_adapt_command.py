"""`selfhvd adapt` hands over what was typed, tells how it goes, and says how to go on after Ctrl-C."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import made_clips
import pytest
import torch
from click.testing import CliRunner

from selfhvd_cli.adaptation.job import AdaptJob, AdaptProgress, AdaptReport
from selfhvd_cli.cli import selfhvd
from selfhvd_cli.training.config import AdaptConfig
from selfhvd_cli.training.holdout import Standing
from selfhvd_cli.training.trainer import StepReport
from selfhvd_cli.weights.save import save_state_dict

BEFORE, AFTER = Standing(30.0, 0.02, 80.0), Standing(30.6, 0.03, 95.0)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return made_clips.write_folder(tmp_path / "clip", made_clips.shaken([0.0, 2.0], width=80, height=64))


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[AdaptJob]:
    """The jobs that would have been run."""
    found: list[AdaptJob] = []

    def steps(job: AdaptJob) -> Generator[AdaptProgress, None, None]:
        found.append(job)
        yield AdaptProgress("prepare", messages=("running on a stand-in",), warnings=("no uncertainty",))
        losses = {"rec": 0.05, "taught": 1.0, "gradient": 0.2}
        yield AdaptProgress("train", 1, 2, step=StepReport(1, 2, 1, losses, 1e-4, 0.1, AFTER, AFTER))
        yield AdaptProgress("done", 2, 2, report=report(job))

    monkeypatch.setattr("selfhvd_cli.adapt_network.adapt_steps", steps)
    return found


def report(job: AdaptJob) -> AdaptReport:
    return AdaptReport(
        weights=job.weights, model=job.model, base="lite", improved=True, before=BEFORE, after=AFTER, best_step=2,
        steps=2, ended="steps", seconds=60.0, seconds_a_step=30.0, peak_memory=10**9, flow="lite", perceptual="none",
        device="cpu", config={}, clips=(), log=job.log, pictures=job.pictures,
    )  # fmt: skip


def typed(*words: Any) -> Any:
    return CliRunner().invoke(selfhvd, ["adapt", *map(str, words)])


def test_switches_become_options_and_the_rest_stays_default(clip: Path, jobs: list[AdaptJob], tmp_path: Path) -> None:
    target = tmp_path / "w.safetensors"
    result = typed(clip, "-o", target, "--steps", 300, "--no-scscm", "--no-rscr", "--masks", "occlusion", "--segment",
                   10, "--refreshes", 1, "--flow", "dis", "--perceptual", "none", "--init", "scratch", "--model",
                   "ifirnn", "--minutes", 20, "--patience", 0, "--seed", 3, "--crop", 96)  # fmt: skip
    assert result.exit_code == 0, result.output
    job = jobs[0]
    assert (job.clips, job.weights, job.model, job.init) == ((clip,), target, "ifirnn", "scratch")
    assert (job.flow, job.perceptual, job.minutes, job.patience) == ("dis", "none", 20.0, None)
    config = AdaptConfig(**job.options)
    assert not config.scscm
    assert not config.rscr
    assert config.sevd
    assert config.sis
    assert (config.steps, config.masks, config.segment, config.refreshes) == (300, "occlusion", 10, 1)
    assert (config.seed, config.crop) == (3, 96)
    assert "batch" not in job.options


def test_it_says_what_was_gained_and_what_to_type_next(clip: Path, jobs: list[AdaptJob], tmp_path: Path) -> None:
    result = typed(clip, "-o", tmp_path / "my w.safetensors", "--progress", "plain")
    assert "running on a stand-in" in result.stderr
    assert "Warning: no uncertainty" in result.stderr
    assert "rec 0.0500" in result.stderr
    assert "held-out 30.60 dB" in result.stderr
    assert "30.00 → 30.60 dB (+0.60 dB against lite)" in result.stderr.replace("\n", "")
    assert f"--weights '{tmp_path / 'my w.safetensors'}'" in result.stderr.replace("\n", "")


def test_json_is_the_report(clip: Path, jobs: list[AdaptJob], tmp_path: Path) -> None:
    result = typed(clip, "-o", tmp_path / "w.safetensors", "--json")
    found = json.loads(result.stdout)
    assert found["after"]["score"] == 30.6
    assert found["improved"] is True


def test_without_o_the_weights_go_to_a_folder_of_the_users_own(
    clip: Path, jobs: list[AdaptJob], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELFHVD_DATA_DIR", str(tmp_path / "data"))
    assert typed(clip).exit_code == 0
    assert jobs[0].weights.is_relative_to(tmp_path / "data" / "adapted")
    assert jobs[0].weights.name == "clip-lite.safetensors"


def test_parts_of_sevd_without_sevd_are_a_contradiction(clip: Path, jobs: list[AdaptJob]) -> None:
    result = typed(clip, "--no-sevd", "--no-sis")
    assert result.exit_code == 2
    assert jobs == []


def test_interrupted_it_says_how_to_go_on(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def steps(job: AdaptJob) -> Generator[AdaptProgress, None, None]:
        losses = {"rec": 0.05}
        yield AdaptProgress("train", 7, 20, step=StepReport(7, 20, 1, losses, 1e-4, 0.1))
        job.checkpoint.write_bytes(b"")
        raise KeyboardInterrupt

    monkeypatch.setattr("selfhvd_cli.adapt_network.adapt_steps", steps)
    result = typed(clip, "-o", tmp_path / "w.safetensors")
    assert result.exit_code == 130
    assert "interrupted after step 7; the same command goes on" in result.stderr.replace("\n", "")


def test_deblur_with_adapt_trains_first_and_once(
    clip: Path, jobs: list[AdaptJob], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELFHVD_DATA_DIR", str(tmp_path / "data"))
    deblurred: list[Any] = []
    monkeypatch.setattr("selfhvd_cli.cli.deblur_runs.run_all", lambda *given: deblurred.extend(given[2]))
    words = ["deblur", str(clip), "-o", str(tmp_path / "out"), "--adapt", "--steps", "30"]
    result = CliRunner().invoke(selfhvd, words)
    assert result.exit_code == 0, result.output
    assert jobs[0].options["steps"] == 30
    assert deblurred[0].weights == str(jobs[0].weights)
    save_state_dict(jobs[0].weights, {"a": torch.zeros(1)}, {"base": "lite", "config": '{"steps": 30}'})
    again = CliRunner().invoke(selfhvd, words)
    assert again.exit_code == 0
    assert "adapted to before (30 steps from lite)" in again.stderr
    assert "--overwrite does so anew" in again.stderr.replace("\n", " ")
    assert len(jobs) == 1
    assert deblurred[1].weights == str(jobs[0].weights)
    assert CliRunner().invoke(selfhvd, ["deblur", str(clip), "--steps", "30"]).exit_code == 2
