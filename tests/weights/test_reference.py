"""How weights are named: by entry, by own name, by file, by hf://, and nothing that leaves the folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfhvd_cli.errors import WeightsFault
from selfhvd_cli.weights.inventory import list_items
from selfhvd_cli.weights.locate import adapted_folder, imported_folder
from selfhvd_cli.weights.reference import hub_reference, parse_reference
from selfhvd_cli.weights.save import save_state_dict
from selfhvd_cli.weights.spec import manifest


def test_an_entry_a_file_and_an_own_name(tmp_path: Path) -> None:
    import torch

    assert parse_reference("sea_raft_m") is manifest()["sea_raft_m"]
    file = tmp_path / "w.pth"
    file.write_bytes(b"")
    assert parse_reference(str(file)) == file
    own = adapted_folder() / "beach.safetensors"
    save_state_dict(own, {"a": torch.zeros(1)}, {})
    assert parse_reference("beach") == own


def test_what_adapt_put_into_a_folder_of_its_own_has_a_name_as_well() -> None:
    import torch

    own = adapted_folder() / "0123abcd" / "beach-lite.safetensors"
    save_state_dict(own, {"a": torch.zeros(1)}, {"architecture": "lite"})
    assert parse_reference("beach-lite") == own
    (item,) = [item for item in list_items() if item.kind == "own"]
    assert (item.name, item.architecture, item.path) == ("beach-lite", "lite", own)
    save_state_dict(adapted_folder() / "4567" / "beach-lite.safetensors", {"a": torch.ones(1)}, {})
    with pytest.raises(WeightsFault, match=r"give the file: .*0123abcd.*4567"):
        parse_reference("beach-lite")


def test_a_hub_reference_keeps_its_parts() -> None:
    spec = hub_reference("hf://owner/repo/deep/er/model.pth@v2")
    assert (spec.repo, spec.filename, spec.revision) == ("owner/repo", "deep/er/model.pth", "v2")
    assert hub_reference("hf://owner/repo/a.pth").revision == "main"


def test_hub_references_that_look_alike_have_their_own_files() -> None:
    names = {
        hub_reference(f"hf://{path}").name
        for path in ("a/b/c.pth", "a/b/c.pth@main2", "a/b/d/c.pth", "a/b-c/c.pth", "a-b/c/c.pth")
    }
    assert len(names) == 5


@pytest.mark.parametrize(
    "reference",
    [
        "hf://",
        "hf://owner",
        "hf://owner/repo",
        "hf://owner/repo/",
        "hf://owner/repo/../../x",
        "hf://owner/repo/a//b",
        "hf://owner/repo/..%2fx",
        "hf://owner/repo/a\\b",
        "hf://../repo/a",
        "hf://owner/repo/a@../b",
        "hf://owner/repo/a@b@c",
        "hf://owner/repo/a?x=1",
        "hf://user:pass@owner/repo/a",
    ],
)
def test_a_malformed_hub_reference_is_refused(reference: str) -> None:
    with pytest.raises(WeightsFault, match=r"expected hf://owner/repo/file"):
        parse_reference(reference)


@pytest.mark.parametrize("reference", ["../manifest", "..", "", "/nowhere/x.pth", "imported/../x"])
def test_names_cannot_climb(reference: str) -> None:
    imported_folder().mkdir(parents=True)
    with pytest.raises(WeightsFault):
        parse_reference(reference)


def test_a_near_name_is_proposed() -> None:
    with pytest.raises(WeightsFault, match='did you mean "rvrt_gopro"'):
        parse_reference("rvrt_gropro")


def test_other_addresses_are_not_fetched_and_their_secrets_not_shown() -> None:
    with pytest.raises(WeightsFault, match="weights import FILE") as caught:
        parse_reference("https://ann:s3cret@weights.example/a.pth?sig=topsecret")
    assert "s3cret" not in str(caught.value)
    assert "topsecret" not in str(caught.value)
