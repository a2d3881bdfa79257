"""`selfhvd bench`: the figures of a network agree with each other, and what cannot be measured is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tiny_clips import SHARPEN, make_clip

from selfhvd_cli import bench, bench_machine
from selfhvd_cli.bench_machine import BenchProgress
from selfhvd_cli.cli import selfhvd
from selfhvd_cli.device import choose_compute
from selfhvd_cli.errors import InputFault, UsageFault
from selfhvd_cli.restore import throughput
from selfhvd_cli.restore.architectures import ARCHITECTURES
from selfhvd_cli.restore.load import fresh_restorer


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "ROOFLINE_SHAPES", ((8, 16),))
    monkeypatch.setattr(throughput, "ROOFLINE_SECONDS", 0.01)
    monkeypatch.setattr(throughput, "REPEATS", 1)
    monkeypatch.setitem(ARCHITECTURES, "lite", SHARPEN)  # type: ignore[arg-type]


SMALL = {"models": ("ifirnn",), "sizes": ((64, 32),), "frames": 2, "device": "cpu"}


def test_the_arithmetic_of_a_network_is_counted() -> None:
    compute = choose_compute("cpu", "fp32")
    loaded = fresh_restorer("ifirnn", compute.device)
    small, large = (
        throughput.measure(loaded.restorer, loaded.architecture, compute, 32, width, 2) for width in (64, 128)
    )
    # 208 GMAC for a 720p frame is the official network's figure; ours extracts the features of a frame only once.
    assert 0.8 < small.gmac_a_frame * (1280 * 720) / (64 * 32) / 208 <= 1.0
    assert large.gmac_a_frame == pytest.approx(2 * small.gmac_a_frame)
    assert small.gmac_per_second == pytest.approx(small.gmac_a_frame * small.frames_per_second)


def test_memory_is_that_of_the_block_alone() -> None:
    import torch

    device = torch.device("cpu")
    with throughput.peak_memory(device) as peak:
        held = torch.ones(40 << 20, dtype=torch.uint8)
        del held
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("only Linux tells the peak of a while")
    assert 39 << 20 < peak[0] < 80 << 20
    with throughput.peak_memory(device) as later:
        torch.ones(1 << 20, dtype=torch.uint8)
    assert later[0] < 20 << 20


def test_every_network_precision_and_size_has_a_row() -> None:
    progress: list[BenchProgress] = []
    given = {**SMALL, "models": ("lite", "ifirnn"), "precisions": ("fp32", "bf16")}
    report = bench(**given, on_progress=progress.append)
    assert [(row.model, row.precision) for row in report.rows] == [
        ("lite", "fp32"), ("lite", "bf16"), ("ifirnn", "fp32"), ("ifirnn", "bf16"),
    ]  # fmt: skip
    assert set(report.rooflines) == {"fp32", "bf16"}
    for row in report.rows[2:]:
        assert row.measured
        assert row.gmac_per_second == pytest.approx(row.gmac_a_frame * row.frames_per_second)
        assert row.roofline_share == pytest.approx(row.gmac_per_second / report.rooflines[row.precision])
    assert [step.done for step in progress] == sorted(step.done for step in progress)
    assert progress[-1].done == progress[-1].total


def test_a_clip_that_is_missing_is_noticed_before_anything_is_measured(tmp_path: Path) -> None:
    seen: list[BenchProgress] = []
    with pytest.raises(InputFault, match="no such file"):
        bench(tmp_path / "none.mp4", **SMALL, on_progress=seen.append)
    assert seen == []


def test_what_would_take_too_long_is_worked_out_and_marked() -> None:
    given = {**SMALL, "sizes": ((128, 64), (64, 32)), "precisions": ("fp32",), "limit": 0.0}
    small, large = bench(**given).rows
    assert (small.size, small.measured, large.size, large.measured) == ((64, 32), True, (128, 64), False)
    assert large.frames_per_second == pytest.approx(small.frames_per_second / 4)
    assert large.gmac_a_frame == pytest.approx(small.gmac_a_frame * 4)
    assert large.roofline_share == small.roofline_share


def test_out_of_memory_is_a_row_not_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(bench_machine, "measure", fail)
    row = bench(**SMALL).rows[0]  # type: ignore[arg-type]
    assert row.frames_per_second is None


def test_a_clip_is_estimated_and_the_command_gives_json(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", times=(0, 20, 40), sound=False)
    words = ["bench", str(clip), "--model", "lite", "--size", "64x32", "--frames", "2", "--device", "cpu"]
    result = CliRunner().invoke(selfhvd, [*words, "--json", "--progress", "none"])
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert [row["model"] for row in answer["rows"]] == ["lite"] * len(answer["rooflines"])
    assert answer["estimates"][0]["frames"] == 3
    assert answer["estimates"][0]["seconds"] > 0
    said = CliRunner().invoke(selfhvd, words)
    assert said.exit_code == 0, said.output
    assert "of the limit" in said.stderr
    assert "would take" in said.stderr


@pytest.mark.parametrize("wrong", [{"models": ("none",)}, {"frames": 0}, {"sizes": ((8, 8),)}])
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageFault):
        bench(**wrong)


@pytest.mark.parametrize("size", ["1280", "1280xx720", "0xA"])
def test_a_size_must_be_one(size: str) -> None:
    result = CliRunner().invoke(selfhvd, ["bench", "--size", size])
    assert result.exit_code == 2
    assert "WIDTHxHEIGHT" in result.output
