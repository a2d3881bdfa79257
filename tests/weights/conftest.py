"""A clean store, quick patience, and the servers of `weights_stand_ins`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from weights_stand_ins import QUICK, HubSite, Site, running

from selfhvd_cli.weights import find, inventory, patience, spec


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The store's folder, not yet there; the user's folder and the Hub's cache lie beside it, none of them real."""
    for name in (
        "SELFHVD_OFFLINE", "SELFHVD_MIRROR", "HF_HUB_OFFLINE", "HF_TOKEN", "HF_ENDPOINT", "HF_HUB_CACHE",
        "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy",
    ):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SELFHVD_WEIGHTS_DIR", str(tmp_path / "store"))
    monkeypatch.setenv("SELFHVD_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    monkeypatch.setattr(patience, "DEFAULT", QUICK)
    return tmp_path / "store"


@pytest.fixture
def site() -> Iterator[Site]:
    """A plain file server."""
    server = Site()
    with running(server):
        yield server


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubSite]:
    """A Hub with its CDN, named by HF_ENDPOINT."""
    cdn = Site()
    server = HubSite(cdn)
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    with running(server, cdn):
        yield server


@pytest.fixture
def use_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Path]]:
    """Puts a manifest of the test's own in place of the shipped one; gives the folder of embedded files."""
    folder = tmp_path / "embedded"

    def place(text: str) -> Path:
        folder.mkdir(exist_ok=True)
        (folder / "manifest.toml").write_text(text, encoding="utf-8")
        for module in (spec, find, inventory):
            monkeypatch.setattr(module, "embedded_folder", lambda: folder)
        spec.manifest.cache_clear()
        return folder

    yield place
    spec.manifest.cache_clear()
