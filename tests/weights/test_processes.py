"""Several processes and sudden deaths: one download, no torn file, and the next pull goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import save
from weights_stand_ins import HubSite

from selfhvd_cli.weights.store import load_state_dict, resolve

REFERENCE = "hf://owner/repo/model.safetensors"
PULL = [sys.executable, "-m", "selfhvd_cli", "weights", "pull", REFERENCE, "--progress", "none"]
CONTENT = save({"body.weight": torch.randn(600, 1000)})


def publish(hub: HubSite, pause: float) -> str:
    hub.publish("owner/repo", "model.safetensors", CONTENT, pause=pause)
    return next(path for path in hub.cdn.files)


def test_two_pulls_at_once_make_one_download(hub: HubSite) -> None:
    publish(hub, pause=0.03)
    processes = [subprocess.Popen(PULL, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in processes:
        _, words = process.communicate(timeout=120)
        assert process.returncode == 0, words
    assert hub.cdn.sent == len(CONTENT)
    assert resolve(REFERENCE).read_bytes() == CONTENT


def test_a_killed_pull_is_continued_and_never_loaded_half(hub: HubSite, store: Path) -> None:
    publish(hub, pause=0.05)
    for kind in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        before = hub.cdn.sent
        process = subprocess.Popen(PULL, stderr=subprocess.PIPE)
        while hub.cdn.sent < before + 300_000:
            assert process.poll() is None, "the pull ended before it could be killed"
            time.sleep(0.005)
        process.send_signal(kind)
        process.communicate(timeout=60)
        assert process.returncode == (-signal.SIGKILL if kind == signal.SIGKILL else 130)
        assert list(store.glob("*.safetensors")) == []
        assert len(list(store.glob("*.part"))) == 1
    hub.cdn.files[next(iter(hub.cdn.files))].pause = 0
    path = resolve(REFERENCE)
    assert path.read_bytes() == CONTENT
    assert list(load_state_dict(path)) == ["body.weight"]
    starts = [int(value.removeprefix("bytes=").removesuffix("-")) for value in hub.cdn.ranges()[1:]]
    assert len(starts) == 3
    assert starts == sorted(starts)
    assert starts[0] > 0
    assert list(store.glob("*.part*")) == []


WORK = """
import sys, time, random
from selfhvd_cli.errors import SelfHVDError
from selfhvd_cli.weights.inventory import list_items
from selfhvd_cli.weights.prune import prune
from selfhvd_cli.weights.store import load_state_dict, resolve

kind, reference, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
done = refused = 0
end = time.monotonic() + seconds
while time.monotonic() < end:
    try:
        if kind == "load":
            assert list(load_state_dict(resolve(reference))) == ["body.weight"]
        elif kind == "prune":
            list(prune(everything=True))
            time.sleep(random.uniform(0, 0.02))
        else:
            list(list_items())
        done += 1
    except SelfHVDError as fault:
        assert fault.exit_code in (5, 7), fault
        refused += 1
        print(fault.format_message(), file=sys.stderr)
print(done, refused)
"""


def test_loading_pruning_and_listing_at_once(hub: HubSite, store: Path) -> None:
    publish(hub, pause=0)
    kinds = ("load", "load", "prune", "list")
    processes = [
        subprocess.Popen([sys.executable, "-c", WORK, kind, REFERENCE, "4"], stdout=-1, stderr=-1, text=True)
        for kind in kinds
    ]
    for kind, process in zip(kinds, processes, strict=True):
        words, complaints = process.communicate(timeout=120)
        assert process.returncode == 0, complaints
        done, refused = map(int, words.split())
        assert done + refused > 0, f"{kind}: {complaints[-2000:]}"
    assert resolve(REFERENCE).read_bytes() == CONTENT
    assert list(load_state_dict(resolve(REFERENCE))) == ["body.weight"]
    assert list(store.glob("*.part*")) == []
