"""`selfhvd weights pull` against servers in trouble: the exit code, the word for people, and nothing half-written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import save
from weights_stand_ins import HubSite, Site, Trick

from selfhvd_cli.cli import selfhvd

REFERENCE = "hf://owner/repo/model.safetensors"
CONTENT = save({"body.weight": torch.ones(40, 1000)})
OTHER = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])


def pull(*words: str) -> Result:
    return CliRunner().invoke(selfhvd, ["weights", "pull", REFERENCE, "--progress", "none", *words])


def blob(hub: HubSite) -> tuple[Site, str]:
    """The server that has the bytes, and their path there."""
    hub.publish("owner/repo", "model.safetensors", CONTENT)
    return hub.cdn, next(iter(hub.cdn.files))


@pytest.mark.parametrize(
    ("tricks", "word"),
    [
        ([Trick(status=401)], "HF_TOKEN"),
        ([Trick(status=404)], "no such file"),
        ([Trick(status=429)] * 9, "429"),
        ([Trick(status=500)] * 9, "500"),
        ([Trick(after=60_000)] + [Trick(after=0)] * 9, "continues where it stopped"),
        ([Trick(stall=3.0, after=0)] * 9, "timed out"),
        ([Trick(body=OTHER)] * 9, "refused"),
    ],
    ids=["401", "404", "429", "500", "dropped", "silent", "wrong hash"],
)
def test_a_pull_that_fails_ends_with_5_and_leaves_nothing_to_load(
    hub: HubSite, store: Path, tricks: list[Trick], word: str
) -> None:
    server, path = blob(hub)
    server.tricks[path] = list(tricks)
    result = pull()
    assert result.exit_code == 5, result.output
    assert word in result.stderr
    assert "Traceback" not in result.stderr
    assert list(store.glob("*.safetensors")) == []
    server.tricks.clear()
    assert pull().exit_code == 0
    assert [file.read_bytes() for file in store.glob("*.safetensors")] == [CONTENT]


def test_a_pull_that_recovers_ends_with_0_and_the_path(hub: HubSite, store: Path) -> None:
    server, path = blob(hub)
    server.tricks[path] = [Trick(status=500), Trick(after=60_000), Trick(status=429)]
    result = pull("--json")
    assert result.exit_code == 0, result.output
    pulled = json.loads(result.stdout)["pulled"]
    assert Path(pulled[0]["path"]).read_bytes() == CONTENT
    assert server.ranges() == ["", "", "bytes=60000-", "bytes=60000-"]
