"""No training runs in fp16: neither where it is asked for, nor where running networks would take it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from selfhvd_cli.cli import selfhvd
from selfhvd_cli.device import Compute
from selfhvd_cli.training import compute
from selfhvd_cli.training.compute import training_compute

DEVICES = [
    pytest.param(torch.device("cuda", 0), True, torch.bfloat16, id="cuda"),
    pytest.param(torch.device("cuda", 0), False, torch.float32, id="old cuda"),
    pytest.param(torch.device("mps", 0), False, torch.float32, id="mps"),
]


@pytest.mark.parametrize(("device", "able", "wanted"), DEVICES)
def test_where_networks_run_in_fp16_trainings_do_not(
    device: torch.device, able: bool, wanted: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compute, "choose_compute", lambda *_: Compute(device, torch.float16, "a stand-in"))
    monkeypatch.setattr(compute, "trusted", lambda found, asked: found)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: able)
    assert training_compute("auto", "auto").dtype == wanted


@pytest.mark.parametrize("command", ["adapt", "pretrain"])
def test_asked_for_it_is_refused_with_the_reason(command: str, tmp_path: Path) -> None:
    target = tmp_path / "w.safetensors"
    (tmp_path / "clip.mp4").touch()
    source = tmp_path / "clip.mp4" if command == "adapt" else tmp_path
    words = [command, str(source), "-o", str(target), "--precision", "fp16"]
    result = CliRunner().invoke(selfhvd, words)
    assert result.exit_code == 2
    assert "small gradients vanish in it; train in bf16 or fp32" in result.stderr.replace("\n", "")
    assert not target.exists()
