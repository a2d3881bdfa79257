"""`selfhvd pretrain` hands over what was typed, refuses what cannot be, and says how to go on after Ctrl-C."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from selfhvd_cli.cli import selfhvd
from selfhvd_cli.pretrain_network import PretrainReport
from selfhvd_cli.weights.save import save_state_dict

REPORT = PretrainReport(step=50, steps=100, picture=0.1, flow=1.0, gain=0.5, rate=1e-4, seconds=0.2)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, Path, dict[str, Any]]]:
    """Photographs, weights and the other arguments of what would have been run."""
    found: list[tuple[Any, Path, dict[str, Any]]] = []

    def pretrain_steps(photos: Any, weights: Path, config: Any, **others: Any) -> Iterator[PretrainReport]:
        found.append((photos, weights, {"config": config, **others}))
        yield REPORT

    monkeypatch.setattr("selfhvd_cli.pretrain_network.pretrain_steps", pretrain_steps)
    return found


def typed(*words: Any) -> Any:
    return CliRunner().invoke(selfhvd, ["pretrain", *map(str, words)])


def test_a_list_has_a_name_a_line(runs: list[Any], tmp_path: Path) -> None:
    listing = tmp_path / "list.txt"
    listing.write_bytes("\ufeffmy best picture.jpg\r\n\r\nsub/2.png  \n".encode())
    result = typed(tmp_path, "-o", tmp_path / "w.safetensors", "--list", listing)
    assert result.exit_code == 0, result.output
    assert runs[0][0] == [tmp_path / "my best picture.jpg", tmp_path / "sub/2.png"]


def test_a_list_that_cannot_be_read_is_said_so(runs: list[Any], tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\n")
    for name, said in (("list.txt", "no text in UTF-8"), ("missing.txt", "No such file"), (".", "directory")):
        result = typed(tmp_path, "-o", tmp_path / "w.safetensors", "--list", tmp_path / name)
        assert result.exit_code == 4, result.output
        assert said in result.stderr.replace("\n", "")
    assert not runs


def test_weights_are_not_written_over_those_it_begins_with(runs: list[Any], tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    save_state_dict(tmp_path / "w.safetensors", {"w": torch.zeros(2)}, {})
    same = tmp_path / "sub" / ".." / "w.safetensors"
    result = typed(tmp_path, "-o", tmp_path / "w.safetensors", "--init", same, "-f")
    assert result.exit_code == 2
    assert "is the file of --init" in result.stderr.replace("\n", "")
    assert not runs
    assert typed(tmp_path, "-o", tmp_path / "new.safetensors", "--init", same, "-f").exit_code == 0
    assert runs[0][2]["overwrite"] is True


@pytest.mark.parametrize("words", [("--rate", "0"), ("--rate", "-1"), ("--rate", "nan"), ("--seed", "-1")])
def test_numbers_that_cannot_be_are_refused(words: tuple[str, str], runs: list[Any], tmp_path: Path) -> None:
    result = typed(tmp_path, "-o", tmp_path / "w.safetensors", *words)
    assert result.exit_code == 2, result.output
    assert not runs


def test_interrupted_it_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pretrain_steps(photos: Any, weights: Path, config: Any, **others: Any) -> Iterator[PretrainReport]:
        yield REPORT
        raise KeyboardInterrupt

    monkeypatch.setattr("selfhvd_cli.pretrain_network.pretrain_steps", pretrain_steps)
    result = typed(tmp_path, "-o", tmp_path / "w.safetensors")
    assert result.exit_code == 130
    assert "nothing was kept yet" in result.stderr.replace("\n", "")
    (tmp_path / "w.safetensors.checkpoint").touch()
    assert "the same command goes on from" in typed(tmp_path, "-o", tmp_path / "w.safetensors").stderr.replace(
        "\n", ""
    )
