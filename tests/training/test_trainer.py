"""The training learns, goes on where it stopped, and never hands out something worse than it began with."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from training_stand_ins import tiny_restorer, tiny_trainer

from selfhvd_cli.training.batches import Batch
from selfhvd_cli.training.trainer import StepReport, Trainer


def run(trainer: Trainer, steps: int | None = None) -> list[StepReport]:
    """The reports of some steps, or of all."""
    reports = []
    for report in trainer.steps():
        reports.append(report)
        if len(reports) == steps:
            break
    return reports


def same(one: Mapping[str, Tensor], two: Mapping[str, Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


def test_it_learns_from_nothing_but_the_clip() -> None:
    trainer = tiny_trainer(50, rate=3e-3, check=10, average=0.9, first_stage=0.8)
    reports = run(trainer)
    assert [report.step for report in reports] == list(range(1, 51))
    assert {report.stage for report in reports} == {1, 2}
    assert reports[0].losses.keys() == {"rec", "taught", "gradient"}
    assert reports[-1].losses.keys() == {"sevd", "sc", "from label", "gradient"}
    assert trainer.best.score > trainer.base.score + 0.1
    assert trainer.best_step > 0


@pytest.mark.parametrize("cut", [1, 5, 6, 9])
def test_a_resumed_run_ends_with_the_same_weights(cut: int) -> None:
    whole = tiny_trainer()
    run(whole)
    first = tiny_trainer()
    run(first, cut)
    second = tiny_trainer(restorer=tiny_restorer())
    second.resume(through_a_file(first.state()))
    assert second.step == cut
    run(second)
    assert same(whole.average.values, second.average.values)
    assert same(whole.best_values, second.best_values)
    assert (whole.best, whole.best_step) == (second.best, second.best_step)


def test_batches_drawn_ahead_change_nothing() -> None:
    alone, beside = tiny_trainer(), tiny_trainer(ahead=2)
    one, two = run(alone), [*run(beside, 5), *run(beside)]
    assert [report.losses for report in one] == [report.losses for report in two]
    assert same(alone.average.values, beside.average.values)


def test_a_fault_in_a_batch_drawn_ahead_reaches_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = tiny_trainer(ahead=2)
    draw = trainer.batches.draw

    def broken(step: int, rank: int = 0, processes: int = 1) -> Batch:
        if step == 3:
            raise OSError("the disk is gone")
        return draw(step, rank, processes)

    monkeypatch.setattr(trainer.batches, "draw", broken)
    with pytest.raises(OSError, match="disk is gone"):
        run(trainer)
    assert trainer.step == 3


def test_a_training_that_does_harm_hands_out_the_base() -> None:
    trainer = tiny_trainer(16, rate=0.5, clip_gradient=1e9, average=0.0)
    base = {key: value.clone() for key, value in trainer.restorer.network.state_dict().items()}
    run(trainer)
    assert trainer.best_step == 0
    assert same(trainer.best_values, {key: value.float() for key, value in base.items()})
    assert not same(trainer.average.values, base)


RUINOUS: dict[str, Any] = {"rate": 0.5, "clip_gradient": 1e9, "average": 0.0}
"""With these no check is better than the base network."""


def test_a_run_that_stalls_in_stage_one_still_has_all_its_patience_in_stage_two() -> None:
    reports = run(tiny_trainer(40, check=2, patience=3, **RUINOUS))
    # 40 % of 40 steps are stage 1, in which 8 checks fail; then 3 more.
    assert [report.stage for report in reports] == 16 * [1] + 6 * [2]


def test_without_a_second_stage_a_stalled_first_one_is_the_end() -> None:
    reports = run(tiny_trainer(40, check=2, patience=3, first_stage=1.0, **RUINOUS))
    assert [report.stage for report in reports] == 6 * [1]


@pytest.mark.parametrize("cut", [15, 16, 17])
def test_a_run_resumed_around_the_second_stage_stalls_where_it_would_have(cut: int) -> None:
    first = tiny_trainer(40, check=2, patience=3, **RUINOUS)
    run(first, cut)
    second = tiny_trainer(40, check=2, patience=3, restorer=tiny_restorer(), **RUINOUS)
    second.resume(through_a_file(first.state()))
    run(second)
    assert second.step == 22


def test_no_numbers_end_it_before_they_reach_the_weights() -> None:
    trainer = tiny_trainer(8)
    run(trainer, 3)
    kept = {key: value.clone() for key, value in trainer.average.values.items()}
    with torch.no_grad():
        trainer.restorer.network.last.bias[0] = float("nan")
    reports = run(trainer)
    assert [report.failed for report in reports] == [True]
    assert trainer.step == 3
    assert same(trainer.average.values, kept)
    assert all(torch.isfinite(value).all() for value in trainer.best_values.values())


@pytest.mark.parametrize("switch", ["sevd", "scscm", "rscr"])
def test_every_switch_changes_stage_two(switch: str) -> None:
    on, off = tiny_trainer(6, first_stage=0.0), tiny_trainer(6, first_stage=0.0, **{switch: False})
    names = run(off)[-1].losses.keys()
    run(on)
    assert not same(on.average.values, off.average.values)
    assert ("sc" in names) == (switch != "scscm")
    assert ("sevd" in names) == (switch != "sevd")


def test_the_earlier_network_holds_the_output_in_place() -> None:
    free = tiny_trainer(30, first_stage=0.0, rate=2e-2, scscm=False, refreshes=0)
    held = tiny_trainer(30, first_stage=0.0, rate=2e-2, consistency_weight=20.0, refreshes=0)
    for trainer in (free, held):
        run(trainer)

    def moved(trainer: Trainer) -> float:
        base = trainer.base_values
        return sum(float((value - base[key]).square().sum()) for key, value in trainer.average.values.items())

    assert moved(held) < 0.8 * moved(free)


TOGETHER = """
import sys, torch
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from training_stand_ins import tiny_trainer
from selfhvd_cli.training.compute import training_compute
from selfhvd_cli.training.processes import processes_of_torchrun
with processes_of_torchrun(training_compute("cpu", "fp32")) as (processes, compute):
    trainer = tiny_trainer(8, processes=processes)
    losses = [report.losses for report in trainer.steps()]
    smallest = processes.smallest([5.0 + processes.rank, 5.0 - processes.rank], compute.device)
threads = [thread.read_text().strip() for thread in Path("/proc/self/task").glob("*/comm")]
if processes.leads:
    result = {"losses": losses, "values": trainer.average.values, "smallest": smallest, "threads": threads}
    torch.save(result, sys.argv[2])
"""


def test_two_processes_learn_like_one_with_the_whole_batch(tmp_path: Path) -> None:
    script, result = tmp_path / "together.py", tmp_path / "result.pt"
    script.write_text(TOGETHER, encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--log-dir"]
    folder = str(Path(__file__).parent)
    done = subprocess.run(
        [*command, str(tmp_path), str(script), folder, str(result)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    together = torch.load(result, weights_only=True)
    assert together["smallest"] == [5.0, 4.0]
    # One that is left aborts the process now and then, at its end.
    assert not [name for name in together["threads"] if "gloo" in name]
    alone = tiny_trainer(8)
    losses = [report.losses for report in run(alone)]
    for one, two in zip(losses, together["losses"], strict=True):
        assert two == pytest.approx(one, rel=1e-4, abs=1e-6)
    for key, value in alone.average.values.items():
        assert torch.allclose(value, together["values"][key], atol=1e-5)
