"""Checkpoints as their authors publish them: imported, checked and used by the commands, whatever the network."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import made_clips
import pytest
import torch
from click.testing import CliRunner, Result
from tiny_clips import frame_times, make_clip, use_sharpen
from torch import Tensor, nn

from selfhvd_cli.cli import selfhvd
from selfhvd_cli.flow.estimators import ESTIMATORS
from selfhvd_cli.restore.architectures import ARCHITECTURES
from selfhvd_cli.weights import bring, inventory, pull, reference, spec

FORMS: Mapping[str, tuple[str, str, dict[str, Any]]] = {
    "lite": ("", "", {}),
    "ifirnn": ("state_dict", "module.", {"epoch": 500}),
    "estrnn": ("state_dict", "module.model.", {"epoch": 500, "loss": 0.01, "optimizer": {"state": {}}}),
    "basicvsrpp": ("state_dict", "generator.", {"meta": {"mmedit_version": "0.13.0", "iter": 200000}}),
    "rvrt": ("params", "", {}),
    "sea_raft_m": ("", "", {}),
    "sea_raft_s": ("", "", {}),
    "raft_large": ("", "", {}),
    "flowformerpp": ("", "module.", {}),
}
"""Network → the key under which its authors nest the weights, the prefix of every key, and what lies beside them."""


def published(folder: Path, name: str, network: nn.Module, filename: str = "published.pth") -> Path:
    """A checkpoint with the network's real keys and random values, as its authors save it."""
    nest, prefix, beside = FORMS[name]
    state: dict[str, Tensor] = {prefix + key: value for key, value in network.state_dict().items()}
    if prefix == "generator.":
        state["step_counter"] = torch.zeros(1)
    file = folder / filename
    torch.save({nest: state, **beside} if nest else state, file)
    return file


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty stores, and no network."""
    monkeypatch.setenv("SELFHVD_WEIGHTS_DIR", str(tmp_path / "store"))
    monkeypatch.setenv("SELFHVD_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("SELFHVD_OFFLINE", "1")
    torch.manual_seed(0)


def run(*words: object) -> Result:
    return CliRunner().invoke(selfhvd, [str(word) for word in words])


def answer(*words: object) -> Any:
    result = run(*words, "--json", "--progress", "none")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize("model", ARCHITECTURES)
def test_it_comes_in_is_verified_and_deblurs_by_name_and_as_a_file(model: str, tmp_path: Path) -> None:
    file = published(tmp_path, model, ARCHITECTURES[model].build())
    clip = make_clip(tmp_path / "clip.mp4", times=(0, 17, 43), width=64, height=64, sound=False)

    brought = answer("weights", "import", file, "--name", "mine")
    assert brought["architecture"] == brought["conversion"]["architecture"] == model
    assert [item["state"] for item in answer("weights", "verify", "mine")["weights"]] == ["ok"]

    for weights, target in (("mine", "by_name.mp4"), (file, "as_file.mp4")):
        short = ("--duration", "1f") if weights == file else ()
        said = answer(
            "deblur", clip, "-o", tmp_path / target, "--model", model, "--weights", weights, "--device", "cpu", *short
        )
        done = said["done"][0]
        assert (done["model"], done["weights"]) == (model, str(weights))
        assert done["weights_sha256"] == brought["stored_sha256"] or weights == file
        assert frame_times(tmp_path / target) == frame_times(clip)[: done["frames"]]
        assert done["frames"] == (1 if short else 3)


def test_the_other_networks_checkpoint_is_refused_with_what_it_is(tmp_path: Path) -> None:
    file = published(tmp_path, "estrnn", ARCHITECTURES["estrnn"].build())
    clip = make_clip(tmp_path / "clip.mp4", times=(0, 17), width=64, height=64, sound=False)
    result = run("deblur", clip, "-o", tmp_path / "out.mp4", "--model", "ifirnn", "--weights", file)
    assert result.exit_code == 5
    assert "estrnn" in result.stderr
    assert "--model estrnn" in result.stderr
    assert not (tmp_path / "out.mp4").exists()


def test_a_checkpoint_that_lacks_keys_says_which(tmp_path: Path) -> None:
    network = ARCHITECTURES["ifirnn"].build()
    state = network.state_dict()
    lost = [key for key in state if key.endswith(".bias")][:2]
    file = tmp_path / "cut.pth"
    torch.save({key: value for key, value in state.items() if key not in lost}, file)
    clip = make_clip(tmp_path / "clip.mp4", times=(0, 17), width=64, height=64, sound=False)
    result = run("deblur", clip, "-o", tmp_path / "out.mp4", "--model", "ifirnn", "--weights", file)
    assert result.exit_code == 5
    assert f"missing 2: {', '.join(lost)}" in result.stderr
    assert "does look like ifirnn" in result.stderr


class Harmful:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("words", [("weights", "import"), ("deblur",)], ids=["import", "deblur"])
def test_a_pickle_that_would_run_code_is_refused_by_the_command(words: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "net.pth"
    torch.save({"state_dict": {"a": torch.zeros(1)}, "meta": Harmful(tmp_path / "harm")}, file)
    clip = make_clip(tmp_path / "clip.mp4", times=(0, 17), width=64, height=64, sound=False)
    arguments = (file,) if words[0] == "weights" else (clip, "-o", tmp_path / "out.mp4", "--weights", file)
    result = run(*words, *arguments)
    assert result.exit_code == 5
    assert "refused" in result.stderr
    assert not (tmp_path / "harm").exists()
    assert not (tmp_path / "out.mp4").exists()


FLOWS = {"sea-raft": "sea_raft_m", "sea-raft-s": "sea_raft_s", "raft": "raft_large", "flowformer": "flowformerpp"}
"""`adapt --flow` → the entry of the manifest whose weights it takes."""


@pytest.fixture
def unhashed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped manifest, its flow entries without hashes: nobody's random values have the published ones."""
    rows = {
        name: replace(row, sha256="", hash_prefix="", size=0) if row.kind == "flow" else row
        for name, row in spec.manifest().items()
    }
    for module in (spec, bring, inventory, reference, pull):
        if hasattr(module, "manifest"):
            monkeypatch.setattr(module, "manifest", lambda: rows)


@pytest.mark.parametrize("flow", FLOWS)
def test_a_flow_networks_checkpoint_comes_in_and_aligns_an_adaptation(
    flow: str, tmp_path: Path, unhashed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_sharpen(monkeypatch, tmp_path)  # the network that is adapted is not what this looks at
    network = ESTIMATORS[FLOWS[flow]].network
    assert network is not None
    file = published(tmp_path, FLOWS[flow], network())
    answer("weights", "import", file, "--name", FLOWS[flow])
    assert [item["state"] for item in answer("weights", "verify", FLOWS[flow])["weights"]] == ["ok"]
    blurs = [0.0, 2.0, 0.0, 0.0, 2.0, 0.0, 0.0]
    clip = made_clips.write_folder(tmp_path / "clip", made_clips.shaken(blurs, width=80, height=64))
    done = answer(
        "adapt", clip, "-o", tmp_path / "w.safetensors", "--model", "lite", "--init", "scratch",
        "--flow", flow, "--steps", 1, "--crop",
        64, "--sequence", 2, "--batch", 1, "--perceptual", "none", "--device", "cpu",
    )  # fmt: skip
    assert (done["flow"], done["steps"]) == (flow, 1)
    assert (tmp_path / "w.safetensors").exists()
