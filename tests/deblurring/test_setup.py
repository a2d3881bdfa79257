"""What a job sets up: memory and precision that its processes share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tiny_clips import make_clip

from selfhvd_cli.deblurring import setup
from selfhvd_cli.deblurring.job import DeblurJob
from selfhvd_cli.deblurring.setup import plan_deblur
from selfhvd_cli.device import Compute, Precision, choose_compute

LIMIT = 600 << 20


@pytest.fixture
def job(tmp_path: Path) -> DeblurJob:
    clip = make_clip(tmp_path / "clip.mp4", width=320, height=240, sound=False)
    # In half precision the network would need less than it is allowed.
    return DeblurJob(clip, tmp_path / "out.mp4", devices=("cpu", "cpu"), precision="fp32")


def test_all_processes_together_keep_to_the_memory_that_is_allowed(job: DeblurJob) -> None:
    """Three of them: two that restore, and the one that gives them their windows."""
    free, limited = (plan_deblur(replace(job, max_memory=limit)) for limit in (None, LIMIT))
    assert limited.memory <= LIMIT / 3 < free.memory


def test_devices_share_a_precision_that_all_of_them_have(job: DeblurJob, monkeypatch: pytest.MonkeyPatch) -> None:
    def choose(name: str, precision: Precision) -> Compute:
        return choose_compute("cpu", "bf16" if name == "cpu" else "fp32")

    monkeypatch.setattr(setup, "choose_compute", choose)
    monkeypatch.setattr(setup, "settle_precision", lambda loaded, compute, asked: compute)
    for devices, expected in ((("cpu", "cpu"), "bf16"), (("cpu", "mps"), "fp32")):
        plan = plan_deblur(replace(job, devices=devices))
        assert plan.device is not None
        assert f"({expected};" in plan.device
