"""The diagnosis of a machine: complete, safe to paste, right about conflicts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from imaginary_device import imaginary_device
from torch import Tensor

from selfhvd_cli import __version__
from selfhvd_cli.cli import selfhvd
from selfhvd_cli.device import Compute
from selfhvd_cli.diagnose_machine import PACKAGES, doctor, pair_conflict, rival_conflict
from selfhvd_cli.restore.guard import guard
from selfhvd_cli.restore.precision import LEAST_PSNR


def test_the_report_names_what_bug_reports_need_and_no_secrets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_verysecret")
    monkeypatch.setenv("SELFHVD_DEVICE", "cpu")
    monkeypatch.setenv("SELFHVD_WEIGHTS_DIR", str(tmp_path / "store"))
    result = CliRunner().invoke(selfhvd, ["doctor"])
    assert result.exit_code in (0, 3)
    for word in (f"selfhvd {__version__}", "python 3", "torch ", "cpu ", "libx264: works", "SELFHVD_DEVICE=cpu"):
        assert word in result.stdout, word
    assert str(tmp_path / "store") in result.stdout
    assert "verysecret" not in result.output
    assert str(Path.home()) + "/" not in result.stdout.replace(str(tmp_path), "")
    assert not (tmp_path / "store").exists()


def test_a_gpu_that_computes_wrongly_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def erring(frame: Tensor, restored: Tensor) -> tuple[Tensor, object]:
        result, verdict = guard(frame, restored)
        return result + (0.0 if result.device.type == "cpu" else 0.1), verdict

    with imaginary_device() as device:
        monkeypatch.setattr("selfhvd_cli.device.choose_compute", lambda: Compute(device, torch.float32, "imagined"))
        (right,) = doctor().arithmetic
        monkeypatch.setattr("selfhvd_cli.restore.precision.guard", erring)
        (wrong,) = doctor().arithmetic
    assert float(right.split()[-5]) > LEAST_PSNR
    assert wrong.endswith(f" 20 dB ({LEAST_PSNR:.0f} are enough)")


def test_as_json() -> None:
    result = CliRunner().invoke(selfhvd, ["doctor", "--json"])
    told = json.loads(result.stdout)
    assert told["selfhvd"] == __version__
    assert set(told["packages"]) == set(PACKAGES)
    assert {each["name"]: each["works"] for each in told["encoders"]}["libx264"] is True
    assert (result.exit_code == 3) == bool(told["conflicts"])


def test_two_opencv_packages_conflict_where_their_versions_differ() -> None:
    assert rival_conflict({"opencv-python": "5.0.0"}) == ()
    assert rival_conflict({"opencv-python": "5.0.0", "opencv-python-headless": "5.0.0"}) == ()
    (conflict,) = rival_conflict({"opencv-python": "4.9.0.80", "opencv-python-headless": "4.10.0.84"})
    assert "opencv-python==4.10.0.84 opencv-python-headless==4.10.0.84" in conflict


def test_torchvision_for_another_torch_is_a_conflict() -> None:
    assert pair_conflict("2.15.0+cu128", ["numpy", "torch==2.15.0"]) == ()
    assert pair_conflict("2.15.0", ["torch (==2.15.0)"]) == ()
    (conflict,) = pair_conflict("2.13.0+cpu", ["numpy", "torch==2.15.0", "pillow>=5"])
    assert "2.15.0" in conflict
    assert "2.13.0+cpu" in conflict
