"""`selfhvd weights`: what it prints, the codes it ends with, and what it leaves alone."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

from selfhvd_cli.cli import selfhvd
from selfhvd_cli.weights.locate import adapted_folder, imported_folder
from selfhvd_cli.weights.save import save_state_dict
from selfhvd_cli.weights.spec import manifest


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("SELFHVD_OFFLINE", "SELFHVD_MIRROR", "HF_HUB_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SELFHVD_WEIGHTS_DIR", str(tmp_path / "store"))
    monkeypatch.setenv("SELFHVD_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return tmp_path / "store"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(selfhvd, ["weights", *arguments])


def data(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.save({"params": {"module.a": torch.ones(3)}, "epoch": 1}, tmp_path / "my net.pth")
    return tmp_path / "my net.pth"


def test_list_shows_every_entry_with_licence_and_state() -> None:
    result = run("list")
    assert result.exit_code == 0
    for name, spec in manifest().items():
        line = next(line for line in result.stderr.splitlines() if line.startswith(name + " "))
        assert spec.license in line
    rows = {row["name"]: row for row in data("list")["weights"]}
    assert rows.keys() == manifest().keys()
    assert rows["sea_raft_m"]["state"] == "absent"
    assert rows["basicvsrpp_selfhvd"]["state"] == "by hand"
    assert rows["rvrt_gopro"]["trust"] == "none published"
    assert rows["sea_raft_m"]["sha256"] == manifest()["sea_raft_m"].sha256


def test_import_path_verify_prune_and_the_file_stays(checkpoint: Path, store: Path) -> None:
    before = checkpoint.read_bytes()
    brought = data("import", str(checkpoint))
    assert brought["name"] == "my-net"
    assert brought["conversion"]["dropped"] == ["epoch"]
    assert checkpoint.read_bytes() == before
    assert run("path", "my-net").stdout.strip() == brought["path"]
    assert data("path", "my-net")["path"] == brought["path"]
    assert [row["state"] for row in data("verify", "my-net")["weights"]] == ["ok"]
    assert {"name": "my-net", "kind": "own", "state": "here"}.items() <= data("list")["weights"][-1].items()
    assert run("prune", "my-net").exit_code == 5
    data("prune", "--all")
    assert Path(brought["path"]).exists()


def test_import_twice_needs_overwrite(checkpoint: Path) -> None:
    assert run("import", str(checkpoint), "--name", "a").exit_code == 0
    again = run("import", str(checkpoint), "--name", "a")
    assert again.exit_code == 5
    assert "--overwrite" in again.stderr
    assert run("import", str(checkpoint), "--name", "a", "--overwrite").exit_code == 0


def test_verify_finds_damage_and_ends_with_5(checkpoint: Path) -> None:
    path = Path(data("import", str(checkpoint), "--name", "a")["path"])
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"\7")
    result = run("verify", "a", "--json")
    assert result.exit_code == 5
    answer = json.loads(result.stdout)
    assert answer["ok"] is False
    assert answer["weights"][0]["state"] == "damaged"
    assert "sha256 should be" in answer["weights"][0]["message"]
    assert path.read_bytes() == content[:-1] + b"\7"


def test_verify_covers_the_embedded_network() -> None:
    result = run("verify", "--json")
    rows = {row["name"]: row for row in json.loads(result.stdout)["weights"]}
    assert "lite" in rows
    assert (rows["lite"]["state"] == "ok") == (result.exit_code == 0)


def test_a_torn_adapted_file_is_found(store: Path) -> None:
    file = adapted_folder() / "beach.safetensors"
    save_state_dict(file, {"a": torch.ones(100)}, {"architecture": "lite"})
    assert run("verify", "beach").exit_code == 0
    file.write_bytes(file.read_bytes()[:200])
    assert run("verify", "beach").exit_code == 5


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("pull",), 2, "--all"),
        (("pull", "nothing_like_it"), 5, "weights list"),
        (("pull", "sea_raft_m", "--offline"), 5, "--offline"),
        (("pull", "basicvsrpp_selfhvd"), 5, "weights import pretrain.pth"),
        (("path", "sea_raft_m"), 5, "weights pull sea_raft_m"),
        (("verify", "sea_raft_m"), 5, "weights pull sea_raft_m"),
        (("verify", "nothing_like_it"), 5, "weights list"),
        (("import", "/nowhere.pth"), 5, "no such file"),
        (("import",), 2, "FILE"),
        (("prune", "lite"), 5, "nothing the store could free"),
        (("fetch",), 2, "fetch"),
    ],
)
def test_faults_end_with_their_code_and_a_remedy(arguments: tuple[str, ...], code: int, word: str) -> None:
    result = run(*arguments)
    assert result.exit_code == code
    assert word in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unreachable_hub_ends_with_5_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    from selfhvd_cli.weights import patience

    monkeypatch.setattr(patience, "DEFAULT", patience.Patience(tries=2, first_wait=0.01))
    monkeypatch.setenv("HF_ENDPOINT", "http://ann:s3cret@127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", "hf_sEcReTsEcReT123")
    for flags in ((), ("-vv",), ("--json",), ("--progress", "json")):
        result = run("pull", "sea_raft_m", *flags)
        assert result.exit_code == 5
        assert "s3cret" not in result.output
        assert "hf_sEcReT" not in result.output


def test_some_of_a_batch_failing_ends_with_8_and_all_with_5(checkpoint: Path) -> None:
    result = run("pull", str(checkpoint), "basicvsrpp_selfhvd", "--json")
    assert result.exit_code == 8
    answer = json.loads(result.stdout)
    assert [row["name"] for row in answer["pulled"]] == [str(checkpoint)]
    assert [row["name"] for row in answer["failed"]] == ["basicvsrpp_selfhvd"]
    assert run("pull", "estrnn_bsd_2ms16ms", "basicvsrpp_selfhvd").exit_code == 5


def test_prune_frees_leftovers_only_and_says_how_much(store: Path, checkpoint: Path) -> None:
    from selfhvd_cli.weights.store import resolve

    converted = resolve(str(checkpoint))
    (store / "sea_raft_m.part").write_bytes(b"x" * 1000)
    (store / "sea_raft_m.part.json").write_text("{}")
    keep = store / "notes.txt"
    keep.write_text("mine")
    names = {str(converted), str(store / "sea_raft_m.part"), str(store / "sea_raft_m.part.json")}
    dry = data("prune", "--dry-run")
    assert {row["path"] for row in dry["removed"]} == names
    assert all(os.path.exists(name) for name in names)
    assert data("prune")["bytes"] == dry["bytes"] > 1000
    assert not any(os.path.exists(name) for name in names)
    assert keep.exists()
    assert checkpoint.exists()
    assert data("prune")["removed"] == []
    (store / "files").mkdir()
    (store / "files" / "niqe.mat").write_bytes(b"x" * 10)
    assert data("prune")["removed"] == []
    assert data("prune", "--all")["bytes"] == 10


def test_help_names_the_ways_to_refer_to_weights() -> None:
    assert "hf://owner/repo/file" in run("--help").output
    assert not imported_folder().exists()
