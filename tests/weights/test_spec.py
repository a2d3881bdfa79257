"""The shipped manifest says what it must, and a manifest that could harm is refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from selfhvd_cli.errors import WeightsFault
from selfhvd_cli.weights.embed import embed
from selfhvd_cli.weights.find import find
from selfhvd_cli.weights.save import save_state_dict
from selfhvd_cli.weights.signatures import SIGNATURES
from selfhvd_cli.weights.spec import WeightSpec, default_for, embedded_folder, manifest, read_manifest

GOOD = {"name": "net", "kind": "flow", "architecture": "lite", "source": "embedded", "filename": "a.safetensors"}


@pytest.mark.parametrize("name", list(manifest()))
def test_every_entry_says_licence_citation_data_and_page(name: str) -> None:
    spec = manifest()[name]
    assert spec.license
    assert spec.citation
    assert spec.trained_on
    assert spec.page
    assert spec.architecture in SIGNATURES


@pytest.mark.parametrize("name", list(manifest()))
def test_every_entry_is_described_in_the_readme(name: str) -> None:
    assert f"`{name}`" in (embedded_folder() / "README.md").read_text(encoding="utf-8")


def test_hub_entries_are_pinned_to_a_commit() -> None:
    hub = [spec for spec in manifest().values() if spec.source == "hub"]
    assert hub
    assert all(len(spec.revision) == 40 for spec in hub)


def test_published_addresses_are_https() -> None:
    assert all(spec.url.startswith("https://") for spec in manifest().values() if spec.source == "https")


def test_digits_in_file_names_agree_with_the_hashes() -> None:
    named = [spec for spec in manifest().values() if spec.hash_prefix or spec.filename.count("-")]
    digits = {spec.name: Path(spec.filename).stem.rpartition("-")[2] for spec in named}
    assert {"basicvsrpp_gopro", "raft_large", "musiq"} <= digits.keys()
    for spec in named:
        assert spec.expected_hash.startswith(digits[spec.name])


def test_the_embedded_network_is_whole() -> None:
    spec = manifest()["lite"]
    assert find(spec) == embedded_folder() / spec.filename
    assert spec.size == (embedded_folder() / spec.filename).stat().st_size <= 8_000_000


def test_defaults() -> None:
    assert default_for("lite").name == "lite"
    assert default_for("basicvsrpp").name == "basicvsrpp_gopro"
    with pytest.raises(WeightsFault, match="--weights FILE") as caught:
        default_for("ifirnn")
    assert "pretrain" not in caught.value.message, "it trains lite alone"


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../evil"},
        {"name": ".hidden"},
        {"filename": "../evil.pth"},
        {"filename": "/etc/passwd"},
        {"filename": "a\\..\\b.pth"},
        {"filename": "C:evil.pth"},
        {"source": "https", "url": "file:///etc/passwd"},
        {"source": "hub", "repo": "../../x", "revision": "main"},
        {"source": "hub", "repo": "a/b", "revision": "../main"},
        {"kind": "virus"},
        {"sha256": "ABC"},
        {"hash_prefix": "12"},
    ],
)
def test_a_row_that_could_harm_is_refused(change: dict[str, str], tmp_path: Path) -> None:
    WeightSpec(**GOOD)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"."):
        WeightSpec(**{**GOOD, **change})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    ["", "not toml [", '[[weights]]\nname = "a"\n', '[[weights]]\ncolour = "red"\n', "weights = 3\n"],
)
def test_a_damaged_manifest_is_a_fault_not_a_crash(tmp_path: Path, text: str) -> None:
    path = tmp_path / "manifest.toml"
    path.write_text(text)
    with pytest.raises(WeightsFault):
        read_manifest(path)
    with pytest.raises(WeightsFault, match="missing"):
        read_manifest(tmp_path / "none.toml")


def test_listing_needs_no_torch() -> None:
    code = "import sys; from selfhvd_cli.weights import inventory, pull; list(inventory.list_items()); "
    code += "print([m for m in ('torch', 'huggingface_hub', 'numpy') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


EMBEDDED = """
[[weights]]
name = "first"
kind = "deblur"
architecture = "lite"
source = "embedded"
filename = "first.safetensors"
sha256 = ""

[[weights]]
name = "second"
kind = "deblur"
architecture = "lite"
source = "embedded"
filename = "second.safetensors"
# a comment that stays
sha256 = ""
license = "MIT"
"""


def test_a_row_of_embedded_weights_is_filled_in_by_one_command(use_manifest: Callable[[str], Path]) -> None:
    import torch

    folder = use_manifest(EMBEDDED)
    file = folder / "second.safetensors"
    save_state_dict(file, {"a": torch.ones(2)}, {})
    with pytest.raises(WeightsFault, match=r"no sha256.*weights\.embed"):
        find(manifest()["second"])
    digest = embed(file)
    rows = read_manifest(folder / "manifest.toml")
    assert (rows["second"].sha256, rows["second"].size) == (digest, file.stat().st_size)
    assert rows["first"].sha256 == ""
    assert "# a comment that stays" in (folder / "manifest.toml").read_text()
    save_state_dict(file, {"a": torch.zeros(2)}, {})
    assert embed(file) != digest
    assert read_manifest(folder / "manifest.toml")["second"].size == file.stat().st_size


def test_damaged_embedded_weights_are_refused(use_manifest: Callable[[str], Path]) -> None:
    import torch

    folder = use_manifest(EMBEDDED)
    file = folder / "second.safetensors"
    save_state_dict(file, {"a": torch.ones(2)}, {})
    embed(file)
    manifest.cache_clear()
    assert find(manifest()["second"]) == file
    file.write_bytes(file.read_bytes()[:-1] + b"\1")
    with pytest.raises(WeightsFault, match="install selfhvd again"):
        find(manifest()["second"])
    file.unlink()
    with pytest.raises(WeightsFault, match="missing"):
        find(manifest()["second"])
