"""Every network computes the official numbers: our own small ones always, the official ones where they are."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import parity
import pytest
import torch

SMALL = Path(__file__).parent / "golden_small"

OFFICIAL_CASES = {
    "estrnn": ("a", "b"),
    "ifirnn": ("a", "b"),
    "basicvsrpp_deblur": ("b",),
    "rvrt_deblur": ("op", "a"),
    "sea_raft_spring_m": ("a", "h"),
    "sea_raft_spring_s": ("b", "h"),
    "flowformerpp": ("a",),
    "raft_large": (),
}
"""The quick ones; `python tests/parity.py FOLDER` runs all."""


@pytest.mark.parametrize("name", parity.networks_in(SMALL))
def test_small_numbers_are_met(name: str) -> None:
    report = parity.check(name, SMALL)
    assert report.cases > 0
    assert not report.misses, report


@pytest.mark.parametrize("name", OFFICIAL_CASES)
def test_official_numbers_are_met(name: str, shared: Path) -> None:
    report = parity.check(name, shared / "golden", OFFICIAL_CASES[name])
    assert report.cases == len(OFFICIAL_CASES[name])
    assert not report.misses, report


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A golden folder with one network in it, to be spoilt."""
    for file in ("ifirnn.keys.json", "ifirnn.npz", "suffix.txt"):
        shutil.copy(SMALL / file, tmp_path)
    return tmp_path


def change_output(folder: Path, by: float) -> None:
    with np.load(folder / "ifirnn.npz") as stored:
        arrays = dict(stored)
    name = next(name for name in arrays if ".out." in name and "shape" not in name)
    arrays[name] = arrays[name].copy()
    arrays[name].flat[7] += by
    np.savez(folder / "ifirnn.npz", **arrays)


@pytest.mark.parametrize("by", [1e-4, float("nan")])
def test_a_wrong_output_is_a_miss(folder: Path, by: float, capsys: pytest.CaptureFixture[str]) -> None:
    assert parity.main([str(folder)]) == 0
    change_output(folder, by)
    assert parity.main([str(folder)]) == 1
    assert "MISS ifirnn" in capsys.readouterr().out


@pytest.mark.parametrize("spoil", ["rename", "reshape", "sum", "constant"])
def test_a_wrong_state_dict_is_a_miss(folder: Path, spoil: str) -> None:
    path = folder / "ifirnn.keys.json"
    facts = json.loads(path.read_text())
    key = "rnncell0.F_B.0.bias"
    if spoil == "rename":
        facts["keys"]["rnncell0.other"] = facts["keys"].pop(key)
    elif spoil == "reshape":
        facts["keys"][key][0] = [21]
    elif spoil == "sum":
        facts["abs_sum"] = {key: 1.0}
    else:
        facts["constant_crc32"] = {key: 0}
    path.write_text(json.dumps(facts))
    report = parity.check("ifirnn", folder)
    assert key in str(report)
    assert report.misses


def test_another_suffix_gives_other_weights(folder: Path) -> None:
    (folder / "suffix.txt").write_text("/other")
    assert parity.check("ifirnn", folder).misses


def test_a_network_that_is_not_ours_is_a_miss(folder: Path) -> None:
    (folder / "ifirnn.keys.json").rename(folder / "unheard_of.keys.json")
    assert parity.main([str(folder)]) == 1


def test_command_runs_by_itself(folder: Path) -> None:
    command = [sys.executable, str(Path(parity.__file__)), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1


def test_a_folder_without_numbers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stop:
        parity.main([str(tmp_path)])
    assert stop.value.code


def test_rule_draws_by_key_and_fan_in() -> None:
    module = torch.nn.ModuleDict({"one": torch.nn.Conv2d(8, 64, 3), "norm": torch.nn.BatchNorm2d(64)})
    parity.fill_by_rule(module, gain=0.5, constant_keys=["norm.num_batches_tracked"])
    state = module.state_dict()
    assert state["one.weight"].std().item() == pytest.approx(0.5 / 72**0.5, rel=0.05)
    assert state["norm.weight"].mean().item() == pytest.approx(1.0, abs=0.05)
    assert (state["norm.running_var"] > 0).all()
    again = parity.drawn("one.weight", state["one.weight"].shape, "", 0.5)
    assert torch.equal(state["one.weight"], again)
