"""Offline is offline: nothing is asked for, and what stands in for what is absent is said."""

from __future__ import annotations

from pathlib import Path

import made_clips
import pytest
from safetensors.torch import save
from weights_stand_ins import HubSite

from selfhvd_cli import deblur
from selfhvd_cli.adapt_network import adapt
from selfhvd_cli.errors import WeightsFault
from selfhvd_cli.restore.architectures import ARCHITECTURES

REFERENCE = "hf://owner/repo/model.safetensors"
SMALL = {"crop": 64, "sequence": 4, "batch": 1, "targets": 1, "device": "cpu", "precision": "fp32", "steps": 1}


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return made_clips.write_folder(
        tmp_path / "frames", made_clips.shaken([0.0, 1.5, 2.0, 1.5] * 6, width=80, height=64)
    )


@pytest.mark.parametrize("command", ["deblur", "adapt"])
def test_the_hub_is_not_asked(hub: HubSite, clip: Path, tmp_path: Path, command: str) -> None:
    state = {name: value.contiguous() for name, value in ARCHITECTURES["ifirnn"].build().state_dict().items()}
    hub.publish("owner/repo", "model.safetensors", save(state, {"architecture": "ifirnn"}))
    network = {"model": "ifirnn", "offline": True}
    runs = {
        "deblur": lambda: deblur(clip, tmp_path / "out", weights=REFERENCE, device="cpu", **network),
        "adapt": lambda: adapt(clip, tmp_path / "w.safetensors", init=REFERENCE, **network, **SMALL),
    }
    with pytest.raises(WeightsFault, match="--offline"):
        runs[command]()
    assert hub.log == []
    assert hub.cdn.log == []


def test_adapt_takes_what_is_at_hand_and_says_what_is_better(hub: HubSite, clip: Path, tmp_path: Path) -> None:
    said: list[str] = []
    report = adapt(clip, tmp_path / "w.safetensors", on_progress=lambda step: said.extend(step.messages), **SMALL)
    assert (report.flow, report.perceptual) == ("dis", "none")
    assert "weights pull sea_raft_m" in " ".join(said)
    assert "weights pull vgg19" in " ".join(said)
    assert hub.log == []
