"""The log of an adaptation: one line a step, written by one process alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selfhvd_cli.adaptation.record import Log
from selfhvd_cli.errors import UsageFault
from selfhvd_cli.training.trainer import StepReport


def step(number: int) -> StepReport:
    return StepReport(number, 10, 1, {"total": 0.5}, 1e-5, 0.1)


def steps(path: Path) -> list[int]:
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def test_a_resumed_log_drops_what_is_done_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "own.log.jsonl"
    log = Log(path, 0)
    for number in range(1, 6):
        log.add(step(number))
    log.close()
    again = Log(path, 3)
    assert steps(path) == [1, 2, 3], "a run that is killed now keeps what was done"
    again.add(step(4))
    again.close()
    assert steps(path) == [1, 2, 3, 4]
    afresh = Log(path, 0)
    afresh.close()
    assert steps(path) == []


def test_two_processes_do_not_adapt_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "own.log.jsonl"
    log = Log(path, 0)
    log.add(step(1))
    with pytest.raises(UsageFault, match="another selfhvd adapts to these weights"):
        Log(path, 0)
    log.close()
    assert steps(path) == [1], "the second left the first's lines alone"
    Log(path, 1).close()
    assert steps(path) == [1]
