"""Foreign checkpoints: their forms are understood, their tricks are not played."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from selfhvd_cli.errors import WeightsFault
from selfhvd_cli.weights.bring import bring_in
from selfhvd_cli.weights.check import check_signature, check_state_dict
from selfhvd_cli.weights.convert import convert
from selfhvd_cli.weights.load import load_state_dict, read_metadata, read_shapes
from selfhvd_cli.weights.record import read_record
from selfhvd_cli.weights.save import save_state_dict
from selfhvd_cli.weights.signatures import SIGNATURES, identify, strip
from selfhvd_cli.weights.store import resolve

GOLDEN = {
    "basicvsrpp": "basicvsrpp_deblur",
    "estrnn": "estrnn",
    "flowformerpp": "flowformerpp",
    "ifirnn": "ifirnn",
    "raft_large": "raft_large",
    "rvrt": "rvrt_deblur",
    "sea_raft_m": "sea_raft_spring_m",
    "sea_raft_s": "sea_raft_spring_s",
}
"""Architecture → its list of official keys among the golden numbers."""

FORMS: Mapping[str, tuple[str, str]] = {
    "basicvsrpp": ("state_dict", "generator."),
    "estrnn": ("state_dict", "module.model."),
    "flowformerpp": ("", "module."),
    "rvrt": ("params", ""),
}
"""How the authors publish: under which key, with which prefix; the others bare."""


def marks(architecture: str) -> dict[str, torch.Tensor]:
    """A file that looks like an architecture: its telling keys, filled up to its number of keys."""
    signature = SIGNATURES[architecture]
    tensors = {key: torch.zeros(shape or (1,)) for key, shape in signature.marks.items()}
    return tensors | {f"filler.{n}": torch.zeros(1) for n in range(signature.keys - len(tensors))}


def test_every_signature_knows_itself() -> None:
    for architecture, signature in SIGNATURES.items():
        assert identify({key: shape or (1,) for key, shape in signature.marks.items()}) == architecture


def official_keys(shared: Path, architecture: str) -> dict[str, Any]:
    keys: dict[str, Any] = json.loads((shared / "golden" / f"{GOLDEN[architecture]}.keys.json").read_text())["keys"]
    return keys


@pytest.mark.parametrize("architecture", GOLDEN)
def test_official_keys_are_recognised_with_and_without_prefix(architecture: str, shared: Path) -> None:
    shapes = {key: tuple(shape) for key, (shape, _) in official_keys(shared, architecture).items()}
    check_signature(Path("x"), architecture, shapes)
    for prefix in ("", FORMS.get(architecture, ("", "module."))[1]):
        assert strip({prefix + key: shape for key, shape in shapes.items()}) == (prefix, architecture)
    half = dict(list(shapes.items())[: len(shapes) * 2 // 3])
    with pytest.raises(WeightsFault):
        check_signature(Path("x"), architecture, half)


@pytest.mark.parametrize("architecture", ["estrnn", "ifirnn"])
def test_a_checkpoint_in_the_published_form_comes_in_with_the_official_keys(
    architecture: str, shared: Path, tmp_path: Path
) -> None:
    official = official_keys(shared, architecture)
    # One number stands for a whole tensor: the file is small, the keys and shapes are real.
    tensors = {
        key: torch.zeros(1, dtype=getattr(torch, dtype)).expand(shape) if shape else torch.tensor(0)
        for key, (shape, dtype) in official.items()
    }
    nest, prefix = FORMS.get(architecture, ("", ""))
    weights = {prefix + key: tensor for key, tensor in tensors.items()}
    file = tmp_path / "published.pth"
    torch.save({nest: weights, "meta": {"epoch": 1}} if nest else weights, file)
    path, record, conversion = bring_in(file, "mine")
    assert conversion.architecture == record.architecture == architecture
    assert read_shapes(path) == {key: tuple(shape) for key, (shape, _) in official.items()}


@pytest.mark.parametrize("nest", ["", "state_dict", "params", "params_ema", "model", "model_state_dict"])
@pytest.mark.parametrize("prefix", ["", "module.", "generator.", "module.model."])
def test_nests_and_prefixes_are_taken_off(tmp_path: Path, nest: str, prefix: str) -> None:
    tensors = {prefix + key: tensor for key, tensor in marks("ifirnn").items()}
    torch.save({nest: tensors, "optimizer": {"lr": 0.1}} if nest else tensors, tmp_path / "a.pth")
    done = convert(tmp_path / "a.pth", tmp_path / "a.safetensors", {"source": "a test"})
    assert (done.architecture, done.prefix, done.nest) == ("ifirnn", prefix, nest)
    assert read_shapes(tmp_path / "a.safetensors").keys() == marks("ifirnn").keys()
    assert read_metadata(tmp_path / "a.safetensors")["source"] == "a test"


def test_averaged_weights_win_over_raw_ones(tmp_path: Path) -> None:
    raw = {f"generator.{key}": tensor for key, tensor in marks("ifirnn").items()}
    averaged = {f"generator_ema.{key}": tensor + 1 for key, tensor in marks("ifirnn").items()}
    torch.save({"state_dict": {**raw, **averaged}}, tmp_path / "a.pth")
    done = convert(tmp_path / "a.pth", tmp_path / "a.safetensors", {})
    assert done.prefix == "generator_ema."
    assert all(bool((tensor == 1).all()) for tensor in load_state_dict(tmp_path / "a.safetensors").values())


def test_an_unknown_network_keeps_its_keys(tmp_path: Path) -> None:
    torch.save({"model.a": torch.zeros(2), "head.b": torch.ones(1)}, tmp_path / "a.pth")
    done = convert(tmp_path / "a.pth", tmp_path / "a.safetensors", {})
    assert done.architecture == ""
    assert set(read_shapes(tmp_path / "a.safetensors")) == {"model.a", "head.b"}


def test_values_dtypes_shared_storage_and_strides_survive(tmp_path: Path) -> None:
    base = torch.randn(4, 6)
    tensors = {
        "whole": base,
        "alias": base,
        "view": base[1:, ::2].T,
        "half": base.half(),
        "bfloat": base.bfloat16(),
        "count": torch.tensor(7),
    }
    torch.save(tensors, tmp_path / "a.pth")
    convert(tmp_path / "a.pth", tmp_path / "a.safetensors", {})
    loaded = load_state_dict(tmp_path / "a.safetensors")
    assert loaded.keys() == tensors.keys()
    for key, tensor in tensors.items():
        assert loaded[key].dtype == tensor.dtype
        assert torch.equal(loaded[key], tensor)


def test_a_written_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    save_state_dict(tmp_path / "a.safetensors", {"a": torch.zeros(1)}, {})
    assert (tmp_path / "a.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_second_names_that_safetensors_left_out_come_back(tmp_path: Path) -> None:
    from safetensors.torch import save_model

    module = torch.nn.Module()
    module.first = torch.nn.Linear(2, 3)
    module.second = module.first
    save_model(module, str(tmp_path / "a.safetensors"))
    loaded = load_state_dict(tmp_path / "a.safetensors")
    assert loaded.keys() == module.state_dict().keys()
    assert read_shapes(tmp_path / "a.safetensors").keys() == loaded.keys()


def test_scores_kept_as_numpy_numbers_do_no_harm(tmp_path: Path) -> None:
    meta = {"best": np.float64(31.5), "epoch": np.int64(3), "losses": [np.float32(0.1)]}
    torch.save({"state_dict": {"a": torch.zeros(1)}, "meta": meta}, tmp_path / "a.pth")
    convert(tmp_path / "a.pth", tmp_path / "a.safetensors", {})
    assert list(read_shapes(tmp_path / "a.safetensors")) == ["a"]


def test_torchs_older_format_is_read(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "a.tar", _use_new_zipfile_serialization=False)
    convert(tmp_path / "a.tar", tmp_path / "a.safetensors", {})
    assert torch.equal(load_state_dict(tmp_path / "a.safetensors")["a"], torch.ones(2))


# ---- attacks and damage -----------------------------------------------------------------------------------


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_malicious_pickle_is_refused_and_does_nothing(tmp_path: Path, zipped: bool) -> None:
    proof = tmp_path / "proof"
    torch.save(
        {"state_dict": {"a": torch.zeros(1)}, "x": Bomb(proof)}, tmp_path / "evil.pth",
        _use_new_zipfile_serialization=zipped,
    )  # fmt: skip
    with pytest.raises(WeightsFault, match="refused") as caught:
        resolve(str(tmp_path / "evil.pth"))
    assert caught.value.exit_code == 5
    assert "mkdir" in caught.value.message
    assert "weights_only" not in caught.value.message, "no advice to open it all the same"
    assert not proof.exists()
    pickle.loads(pickle.dumps(Bomb(proof)))
    assert proof.exists(), "the bomb of this test is none"


def test_a_plain_pickle_is_refused(tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"state_dict": Bomb(proof)}, protocol=2))
    with pytest.raises(WeightsFault):
        resolve(str(tmp_path / "evil.pth"))
    assert not proof.exists()


@pytest.mark.parametrize("content", [b"\0\0\0\x18ftypqt  \0\0\0\0", b"hello world", b""])
def test_a_file_that_is_no_checkpoint_is_said_to_be_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "clip.mov").write_bytes(content)
    with pytest.raises(WeightsFault, match="no checkpoint") as caught:
        bring_in(tmp_path / "clip.mov")
    assert "weights_only" not in caught.value.message


def test_an_archive_that_unpacks_to_far_more_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 50_000_000)
    with pytest.raises(WeightsFault, match="unpacks to"):
        resolve(str(tmp_path / "bomb.pth"))


def test_an_archive_with_a_climbing_member_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.pth")
    with zipfile.ZipFile(tmp_path / "a.pth", "a") as archive:
        archive.writestr("../../evil", b"x")
    with pytest.raises(WeightsFault, match="outside the archive"):
        resolve(str(tmp_path / "a.pth"))


def damaged_files() -> dict[str, bytes]:
    stream = io.BytesIO()
    torch.save({"state_dict": {"a": torch.randn(100, 100)}}, stream)
    whole = stream.getvalue()
    return {
        "empty": b"",
        "text": b"<html>not found</html>",
        "half": whole[: len(whole) // 2],
        "head": whole[:100],
        "zeros": b"\0" * 1000,
        "pickle": b"\x80\x02}q\x00.",
        "zip": b"PK\x05\x06" + b"\0" * 18,
    }


@pytest.mark.parametrize("kind", damaged_files())
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_damaged_file_is_a_fault_not_a_crash(tmp_path: Path, kind: str, suffix: str) -> None:
    file = tmp_path / f"{kind}{suffix}"
    file.write_bytes(damaged_files()[kind])
    with pytest.raises(WeightsFault) as caught:
        resolve(str(file))
    assert str(file) in str(caught.value)
    assert file.exists()


@pytest.mark.parametrize("content", [[1, 2], torch.zeros(3), {"a": 1}, {}, {"state_dict": {}}])
def test_a_checkpoint_without_weights_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(WeightsFault, match="weights"):
        resolve(str(tmp_path / "a.pth"))


# ---- the wrong network ------------------------------------------------------------------------------------


def test_the_wrong_network_is_named(tmp_path: Path) -> None:
    torch.save({"params": marks("rvrt")}, tmp_path / "a.pth")
    with pytest.raises(WeightsFault, match=r"no weights of basicvsrpp.*missing.*looks like rvrt.*--model rvrt"):
        bring_in(tmp_path / "a.pth", "mine", "basicvsrpp")


def test_a_brother_is_not_confused(tmp_path: Path) -> None:
    torch.save(marks("sea_raft_m") | {"cnet.layer1.1.conv1.weight": torch.zeros(64, 64, 3, 3)}, tmp_path / "a.pth")
    with pytest.raises(WeightsFault, match="looks like sea_raft_m"):
        bring_in(tmp_path / "a.pth", "mine", "sea_raft_s")


def test_weights_cut_short_are_said_to_be(tmp_path: Path) -> None:
    few = dict(list(marks("estrnn").items())[:100])
    torch.save(few, tmp_path / "a.pth")
    with pytest.raises(WeightsFault, match="100 of 176 keys"):
        bring_in(tmp_path / "a.pth", "mine", "estrnn")


def test_a_network_is_told_exactly_what_differs(tmp_path: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
    state = network.state_dict()
    check_state_dict(tmp_path, "lite", state, dict(state))
    other = {**state, "extra.weight": torch.zeros(1), "0.weight": torch.zeros(5, 5)}
    del other["1.bias"]
    with pytest.raises(WeightsFault) as caught:
        check_state_dict(tmp_path, "lite", state, other)
    words = "missing 1: 1.bias; unexpected 1: extra.weight; of another shape 1: 0.weight ([5, 5], not [3, 2])"
    assert words in str(caught.value)


def test_an_unknown_network_is_said_to_be_unknown(tmp_path: Path) -> None:
    with pytest.raises(WeightsFault, match=r"looks like no network known here.*begins with some\.key"):
        check_state_dict(tmp_path, "lite", {"a": torch.zeros(1)}, {"some.key": torch.zeros(1)})


# ---- importing --------------------------------------------------------------------------------------------


def test_the_authors_file_is_recognised_by_its_name(tmp_path: Path) -> None:
    tensors = {f"generator.{key}": tensor for key, tensor in marks("basicvsrpp").items()}
    file = tmp_path / "pretrain.pth"
    torch.save({"state_dict": {**tensors, "step_counter": torch.zeros(1)}}, file)
    before = file.read_bytes()
    path, record, conversion = bring_in(file)
    assert record.name == "basicvsrpp_selfhvd"
    assert conversion.dropped == ("step_counter",)
    assert resolve("basicvsrpp_selfhvd") == path
    assert read_metadata(path)["citation"].startswith("Xu")
    assert file.read_bytes() == before


def test_a_published_file_with_another_hash_is_refused_under_its_name(tmp_path: Path) -> None:
    file = tmp_path / "basicvsr_plusplus_deblur_gopro-3c5bb9b5.pth"
    torch.save({"state_dict": marks("basicvsrpp")}, file)
    with pytest.raises(WeightsFault, match=r"not the published basicvsrpp_gopro.*3c5bb9b57b74"):
        bring_in(file)
    path, record, _ = bring_in(file, "my-basicvsrpp")
    assert record.trust == "import"
    assert resolve("my-basicvsrpp") == path


@pytest.mark.parametrize(
    ("name", "words"),
    [("lite", "embedded network's name"), ("musiq", "not the published musiq"), ("vgg19", "of vgg19")],
)
def test_a_file_called_like_an_entry_is_checked_as_one(name: str, words: str, tmp_path: Path) -> None:
    save_state_dict(tmp_path / f"{name}.safetensors", marks("lite"), {})
    with pytest.raises(WeightsFault, match=words):
        bring_in(tmp_path / f"{name}.safetensors")
    _, record, _ = bring_in(tmp_path / f"{name}.safetensors", "mine")
    assert record.architecture == "lite"


def test_imported_weights_are_not_overwritten_unasked(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.pth")
    path, _, _ = bring_in(tmp_path / "a.pth")
    torch.save({"b": torch.zeros(1)}, tmp_path / "a.pth")
    with pytest.raises(WeightsFault, match="--overwrite"):
        bring_in(tmp_path / "a.pth")
    assert list(read_shapes(path)) == ["a"]
    bring_in(tmp_path / "a.pth", overwrite=True)
    assert list(load_state_dict(path)) == ["b"]


@pytest.mark.parametrize("name", ["../evil", "a/b", ".hidden", "a b"])
def test_a_name_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.pth")
    with pytest.raises(WeightsFault, match="no usable name"):
        bring_in(tmp_path / "a.pth", name)


def test_the_embedded_name_and_unknown_architectures_are_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.pth")
    with pytest.raises(WeightsFault, match="choose another --name"):
        bring_in(tmp_path / "a.pth", "lite")
    with pytest.raises(WeightsFault, match="choose one of"):
        bring_in(tmp_path / "a.pth", architecture="transformer")


def test_a_file_saved_by_hand_into_the_adapted_folder_needs_no_record(tmp_path: Path) -> None:
    from selfhvd_cli.weights.locate import adapted_folder

    save_state_dict(adapted_folder() / "beach.safetensors", {"a": torch.ones(1)}, {"architecture": "lite"})
    path = resolve("beach")
    assert read_record(path) is None
    assert torch.equal(load_state_dict(path)["a"], torch.ones(1))
