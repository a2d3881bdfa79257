"""Getting weights into the store: what is checked, kept, remembered and refused on the way."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from safetensors.torch import save
from weights_stand_ins import COMMIT, HubSite, Site, Trick

from selfhvd_cli.errors import DiskFault, WeightsFault
from selfhvd_cli.weights.locate import imported_folder
from selfhvd_cli.weights.lock import StoreLock
from selfhvd_cli.weights.pull import pull
from selfhvd_cli.weights.record import read_record
from selfhvd_cli.weights.report import PullReport
from selfhvd_cli.weights.store import load_state_dict, read_metadata, resolve

UseManifest = Callable[[str], Path]

TENSORS = {"body.weight": torch.randn(3, 4), "body.bias": torch.randn(3)}
PUBLISHED = save(TENSORS)


@pytest.fixture
def checkpoint(tmp_path: Path) -> bytes:
    """The same tensors as mmediting publishes them."""
    path = tmp_path / "published.pth"
    prefixed = {f"module.{key}": tensor for key, tensor in TENSORS.items()}
    torch.save({"meta": {"epoch": 3}, "state_dict": {**prefixed, "step_counter": torch.zeros(1)}}, path)
    return path.read_bytes()


def row(**fields: object) -> str:
    values = {"name": "net", "kind": "deblur", "architecture": "", "license": "MIT", **fields}
    return "[[weights]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())


def https_row(url: str, **fields: object) -> str:
    return row(source="https", url=url, filename=url.rpartition("/")[2], **fields)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def same(path: Path) -> bool:
    loaded = load_state_dict(path)
    return loaded.keys() == TENSORS.keys() and all(torch.equal(loaded[key], TENSORS[key]) for key in TENSORS)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*") if path.suffix != ".lock")


# ---- plain files ------------------------------------------------------------------------------------------


def test_a_pickled_file_becomes_safetensors_once(
    site: Site, checkpoint: bytes, use_manifest: UseManifest, store: Path
) -> None:
    use_manifest(https_row(site.put("/net.pth", checkpoint), sha256=digest(checkpoint)))
    path = resolve("net")
    assert same(path)
    metadata = read_metadata(path)
    assert metadata["source"] == site.url + "/net.pth"
    assert metadata["source_sha256"] == digest(checkpoint)
    assert metadata["license"] == "MIT"
    assert files(store) == ["net.json", "net.safetensors"]
    assert resolve("net") == path
    assert len(site.requests()) == 1


def test_reports_tell_the_phases_and_end_with_the_path(
    site: Site, checkpoint: bytes, use_manifest: UseManifest
) -> None:
    site.tricks["/net.pth"] = [Trick(status=500)]
    use_manifest(https_row(site.put("/net.pth", checkpoint), sha256=digest(checkpoint)))
    reports: list[PullReport] = []
    path = resolve("net", progress=reports.append)
    phases = list(dict.fromkeys(report.phase for report in reports))
    assert phases == ["retrying", "downloading", "checking", "converting", "done"]
    assert reports[-1].path == path
    assert "step_counter" in reports[-1].note


def test_nothing_is_created_before_a_pull(use_manifest: UseManifest, store: Path) -> None:
    use_manifest(https_row("https://weights.invalid/net.pth", sha256="0" * 64))
    with pytest.raises(WeightsFault, match="--offline"):
        resolve("net", offline=True)
    assert not store.exists()
    assert not imported_folder().exists()


def test_a_wrong_hash_is_refused_with_both_and_nothing_stays(
    site: Site, checkpoint: bytes, use_manifest: UseManifest, store: Path
) -> None:
    use_manifest(https_row(site.put("/net.pth", checkpoint), sha256="ab" * 32))
    with pytest.raises(WeightsFault) as caught:
        resolve("net")
    assert caught.value.exit_code == 5
    assert "ab" * 32 in str(caught.value)
    assert digest(checkpoint) in str(caught.value)
    assert files(store) == []
    assert len(site.requests()) == 1, "no loop of downloads"


def test_the_digits_in_a_name_are_checked(site: Site, checkpoint: bytes, use_manifest: UseManifest) -> None:
    url = site.put("/net.pth", checkpoint)
    use_manifest(https_row(url, hash_prefix=digest(checkpoint)[:8]))
    assert same(resolve("net"))
    use_manifest(https_row(url, name="other", hash_prefix="deadbeef"))
    with pytest.raises(WeightsFault, match="deadbeef"):
        resolve("other")


def test_a_damaged_rest_of_an_earlier_try_costs_one_restart(
    site: Site, checkpoint: bytes, use_manifest: UseManifest, store: Path
) -> None:
    content = os.urandom(300_000)
    pickled = checkpoint + content  # not readable as a checkpoint; the hash is what matters here
    use_manifest(https_row(site.put("/net.pth", pickled), sha256=digest(pickled)))
    site.tricks["/net.pth"] = [Trick(after=200_000)] + [Trick(status=503)] * 4
    with pytest.raises(WeightsFault):
        resolve("net")
    part = store / "net.part"
    part.write_bytes(b"\0" * part.stat().st_size)
    with pytest.raises(WeightsFault, match="no checkpoint that can be read"):
        resolve("net")
    assert site.ranges()[-2:] == ["bytes=200000-", ""]


def test_an_interrupted_pull_continues(site: Site, checkpoint: bytes, use_manifest: UseManifest, store: Path) -> None:
    use_manifest(https_row(site.put("/net.pth", checkpoint), sha256=digest(checkpoint)))
    site.tricks["/net.pth"] = [Trick(after=500)]
    reports = pull("net")
    while next(reports).done < 500:
        pass
    reports.close()  # what Ctrl-C does to it
    assert (store / "net.part").stat().st_size == 500
    assert not (store / "net.safetensors").exists()
    assert same(resolve("net"))
    assert site.ranges() == ["", "bytes=500-"]


def test_the_first_pull_of_an_unhashed_file_binds_later_ones(
    site: Site, checkpoint: bytes, use_manifest: UseManifest, store: Path, tmp_path: Path
) -> None:
    use_manifest(https_row(site.put("/net.pth", checkpoint)))
    notes: list[str] = []
    path = resolve("net", progress=lambda report: notes.append(report.note))
    assert "no hash is published" in notes[-1]
    record = read_record(path)
    assert record is not None
    assert (record.trust, record.source_sha256) == ("first pull", digest(checkpoint))
    path.unlink()
    torch.save({"body.weight": torch.zeros(3, 4)}, tmp_path / "other.pth")
    site.put("/net.pth", (tmp_path / "other.pth").read_bytes())
    with pytest.raises(WeightsFault, match=r"first pull.*--accept-new"):
        resolve("net")
    assert not path.exists()
    assert list(load_state_dict(list(pull("net", accept_new=True))[-1].path)) == ["body.weight"]  # type: ignore[arg-type]


def test_a_changed_file_of_the_store_is_not_loaded_and_not_deleted(
    site: Site, checkpoint: bytes, use_manifest: UseManifest
) -> None:
    use_manifest(https_row(site.put("/net.pth", checkpoint), sha256=digest(checkpoint)))
    path = resolve("net")
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(WeightsFault, match=r"sha256 should be .*weights pull net --again"):
        resolve("net")
    with pytest.raises(WeightsFault, match="sha256"):
        load_state_dict(path)
    assert path.read_bytes() == damaged
    assert same(list(pull("net", again=True))[-1].path)  # type: ignore[arg-type]
    assert same(resolve("net"))


def test_a_store_file_without_a_record_is_not_trusted(
    site: Site, checkpoint: bytes, use_manifest: UseManifest, store: Path
) -> None:
    use_manifest(https_row(site.put("/net.pth", checkpoint), sha256=digest(checkpoint)))
    store.mkdir()
    (store / "net.safetensors").write_bytes(save({"planted": torch.zeros(1)}))
    assert same(resolve("net"))


def test_a_mirror_serves_the_same_files(site: Site, checkpoint: bytes, use_manifest: UseManifest) -> None:
    site.put("/copies/net.pth", checkpoint)
    use_manifest(https_row("https://weights.invalid/deep/net.pth", sha256=digest(checkpoint)))
    assert same(resolve("net", mirror=site.url + "/copies/"))


def test_a_mirror_cannot_bring_another_file(site: Site, checkpoint: bytes, use_manifest: UseManifest) -> None:
    site.put("/copies/net.pth", checkpoint + b"!")
    use_manifest(https_row("https://weights.invalid/net.pth", sha256=digest(checkpoint)))
    with pytest.raises(WeightsFault, match="refused"):
        resolve("net", mirror=site.url + "/copies")


def test_neither_hash_nor_https_is_refused(use_manifest: UseManifest) -> None:
    use_manifest(https_row("http://weights.example/net.pth"))
    with pytest.raises(WeightsFault, match="use an https address"):
        resolve("net")


@pytest.mark.parametrize("variable", ["SELFHVD_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_in_the_environment_is_obeyed(
    site: Site, checkpoint: bytes, use_manifest: UseManifest, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    use_manifest(https_row(site.put("/net.pth", checkpoint), sha256=digest(checkpoint)))
    monkeypatch.setenv(variable, "1")
    with pytest.raises(WeightsFault, match="not to be used"):
        resolve("net")
    assert site.log == []
    monkeypatch.setenv(variable, "0")
    path = resolve("net")
    monkeypatch.setenv(variable, "1")
    assert resolve("net") == path


def test_an_entry_by_hand_says_what_to_do(use_manifest: UseManifest) -> None:
    use_manifest(row(source="by hand", filename="pretrain.pth", page="https://authors.example"))
    with pytest.raises(WeightsFault, match=r"https://authors.example.*weights import pretrain.pth --name net"):
        resolve("net")


def test_a_store_that_cannot_be_written_is_said(
    site: Site, checkpoint: bytes, use_manifest: UseManifest, store: Path
) -> None:
    use_manifest(https_row(site.put("/net.pth", checkpoint), sha256=digest(checkpoint)))
    store.write_text("a file where the folder should be")
    with pytest.raises(DiskFault, match="SELFHVD_WEIGHTS_DIR"):
        resolve("net")


def test_a_held_lock_is_waited_for(
    site: Site, checkpoint: bytes, use_manifest: UseManifest, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("selfhvd_cli.weights.lock.StoreLock.acquire.__defaults__", (0.01,))
    use_manifest(https_row(site.put("/net.pth", checkpoint), sha256=digest(checkpoint)))
    with StoreLock(store / "net.lock") as other:
        assert other.acquire()
        reports = pull("net")
        assert [next(reports).phase for _ in range(3)] == ["waiting"] * 3
        assert site.log == []
    assert [report.phase for report in reports][-1] == "done"


# ---- the Hub ----------------------------------------------------------------------------------------------


def hub_row(content: bytes, **fields: object) -> str:
    values = {"sha256": digest(content), "revision": COMMIT, "filename": "model.safetensors", **fields}
    return row(source="hub", repo="owner/repo", **values)


def test_a_disk_that_knows_no_locks_takes_weights_all_the_same(
    site: Site, checkpoint: bytes, use_manifest: UseManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: FileLock, timeout: float) -> None:
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(FileLock, "acquire", refuse)
    use_manifest(https_row(site.put("/net.pth", checkpoint), sha256=digest(checkpoint)))
    assert load_state_dict(resolve("net")).keys() == TENSORS.keys()


def test_a_hub_file_is_fetched_at_its_commit_and_kept_as_it_is(hub: HubSite, use_manifest: UseManifest) -> None:
    hub.publish("owner/repo", "model.safetensors", PUBLISHED)
    use_manifest(hub_row(PUBLISHED))
    path = resolve("net")
    assert path.read_bytes() == PUBLISHED
    assert same(path)
    record = read_record(path)
    assert record is not None
    assert (record.revision, record.trust) == (COMMIT, "manifest")
    assert "Signature" not in record.source


def test_a_hub_that_is_not_asked_by_https_needs_a_known_hash(
    hub: HubSite, use_manifest: UseManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it states of the file came the same way as the file."""
    monkeypatch.setattr("selfhvd_cli.weights.protection.LOOPBACK", frozenset())
    hub.publish("owner/repo", "model.safetensors", PUBLISHED)
    with pytest.raises(WeightsFault, match="use an https address"):
        resolve("hf://owner/repo/model.safetensors")
    assert hub.cdn.log == []
    use_manifest(hub_row(PUBLISHED))
    assert same(resolve("net"))


def test_a_hub_pull_resumes_on_the_cdn(hub: HubSite, use_manifest: UseManifest) -> None:
    content = save({"body.weight": torch.randn(300, 300)})
    hub.publish("owner/repo", "model.safetensors", content)
    hub.cdn.tricks[f"/blobs/{digest(content)}"] = [Trick(after=200_000), Trick(status=500)]
    use_manifest(hub_row(content))
    assert resolve("net").read_bytes() == content
    assert hub.cdn.ranges() == ["", "bytes=200000-", "bytes=200000-"]


def test_a_branch_is_pinned_by_its_first_pull(hub: HubSite, use_manifest: UseManifest) -> None:
    hub.publish("owner/repo", "weights/model.safetensors", PUBLISHED)
    path = resolve("hf://owner/repo/weights/model.safetensors")
    record = read_record(path)
    assert record is not None
    assert (record.revision, record.trust, record.source_sha256) == (COMMIT, "Hub", digest(PUBLISHED))
    hub.publish("owner/repo", "weights/model.safetensors", save({"new": torch.zeros(1)}), commit="f" * 40)
    assert same(resolve("hf://owner/repo/weights/model.safetensors"))
    with pytest.raises(WeightsFault, match="--accept-new"):
        list(pull("hf://owner/repo/weights/model.safetensors", again=True))


def test_a_revision_can_be_named(hub: HubSite) -> None:
    hub.publish("owner/repo", "a.safetensors", PUBLISHED, commit="a" * 40, branch="v1.0")
    hub.publish("owner/repo", "a.safetensors", save({"other": torch.zeros(1)}), commit="b" * 40)
    assert same(resolve("hf://owner/repo/a.safetensors@v1.0"))
    assert list(load_state_dict(resolve("hf://owner/repo/a.safetensors"))) == ["other"]


def test_what_the_hub_states_is_compared_before_any_byte_comes(hub: HubSite, use_manifest: UseManifest) -> None:
    hub.publish("owner/repo", "model.safetensors", PUBLISHED)
    use_manifest(hub_row(PUBLISHED, sha256="cd" * 32))
    with pytest.raises(WeightsFault, match=rf"{'cd' * 32}, the Hub offers {digest(PUBLISHED)}"):
        resolve("net")
    assert hub.cdn.log == []


def test_a_hub_that_lies_about_its_bytes_is_found_out(hub: HubSite, use_manifest: UseManifest, store: Path) -> None:
    hub.publish("owner/repo", "model.safetensors", PUBLISHED)
    swapped = PUBLISHED[:-1] + bytes([PUBLISHED[-1] ^ 1])
    hub.cdn.put(f"/blobs/{digest(PUBLISHED)}", swapped)
    with pytest.raises(WeightsFault, match="refused"):
        resolve("hf://owner/repo/model.safetensors")
    assert files(store) == []


@pytest.mark.parametrize(
    "answer",
    [{"X-Repo-Commit": "../../../evil"}, {"X-Repo-Commit": ""}, {"X-Repo-Commit": "b" * 40}],
    ids=["path", "none", "another"],
)
def test_a_hub_that_answers_another_commit_is_refused(
    hub: HubSite, use_manifest: UseManifest, answer: dict[str, str], tmp_path: Path
) -> None:
    hub.publish("owner/repo", "model.safetensors", PUBLISHED)
    hub.stated[f"/owner/repo/resolve/{COMMIT}/model.safetensors"].update(answer)
    use_manifest(hub_row(PUBLISHED))
    with pytest.raises(WeightsFault, match="commit"):
        resolve("net")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("commit", ["../../../evil", "main", ""])
def test_a_site_that_names_no_commit_is_no_hub(hub: HubSite, commit: str) -> None:
    hub.publish("owner/repo", "model.safetensors", PUBLISHED)
    hub.stated["/owner/repo/resolve/main/model.safetensors"]["X-Repo-Commit"] = commit
    with pytest.raises(WeightsFault, match="does not answer like a Hub"):
        resolve("hf://owner/repo/model.safetensors")
    assert hub.cdn.log == []


def test_an_etag_that_climbs_stays_a_word(hub: HubSite, use_manifest: UseManifest, store: Path) -> None:
    hub.publish("owner/repo", "model.safetensors", PUBLISHED, etag='"../../../../evil"')
    hub.stated[f"/owner/repo/resolve/{COMMIT}/model.safetensors"]["X-Linked-Etag"] = '"../../../../evil"'
    use_manifest(hub_row(PUBLISHED))
    before = set(store.parent.rglob("*"))
    resolve("net")
    created = set(store.parent.rglob("*")) - before
    assert all(path == store or store in path.parents for path in created)


def test_troubles_of_the_hub_are_retried(hub: HubSite, use_manifest: UseManifest) -> None:
    hub.publish("owner/repo", "model.safetensors", PUBLISHED)
    use_manifest(hub_row(PUBLISHED))
    failing = iter([503, 429])
    honest = hub.answer

    def answer(request: object) -> None:
        status = next(failing, 0)
        if status:
            hub.refuse(request, status, {})  # type: ignore[arg-type]
        else:
            honest(request)  # type: ignore[arg-type]

    hub.answer = answer  # type: ignore[method-assign,assignment]
    notes: list[PullReport] = []
    assert same(resolve("net", progress=notes.append))
    assert [report.phase for report in notes[:2]] == ["retrying", "retrying"]


def test_no_such_repository_is_explained(hub: HubSite) -> None:
    with pytest.raises(WeightsFault, match=r"owner/none.*404"):
        resolve("hf://owner/none/model.safetensors")


def test_a_token_opens_a_gated_file_and_goes_nowhere_else(
    hub: HubSite, site: Site, monkeypatch: pytest.MonkeyPatch, store: Path
) -> None:
    token = "hf_sEcReTsEcReT123"
    hub.publish("owner/repo", "model.safetensors", PUBLISHED)
    for path in hub.files:
        hub.files[path].login = f"Bearer {token}"
    with pytest.raises(WeightsFault, match="HF_TOKEN"):
        resolve("hf://owner/repo/model.safetensors")
    monkeypatch.setenv("HF_TOKEN", token)
    path = resolve("hf://owner/repo/model.safetensors")
    assert same(path)
    assert any(token in headers.get("authorization", "") for _, headers in hub.requests())
    assert all("authorization" not in headers for _, headers in hub.cdn.requests())
    for file in store.rglob("*"):
        assert token.encode() not in file.read_bytes()


def test_a_token_is_not_sent_to_a_mirror_and_not_printed(hub: HubSite, monkeypatch: pytest.MonkeyPatch) -> None:
    token = "hf_sEcReTsEcReT123"
    monkeypatch.setenv("HF_TOKEN", token)
    hub.publish("owner/repo", "model.safetensors", PUBLISHED)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert same(resolve("hf://owner/repo/model.safetensors", mirror=hub.url))
    assert all("authorization" not in headers for _, _, headers in hub.log)
    with pytest.raises(WeightsFault) as caught:
        resolve(f"hf://owner/repo/{token}.safetensors")
    assert token not in str(caught.value)


def test_another_programs_cached_file_is_used_without_the_network(
    tmp_path: Path, use_manifest: UseManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_manifest(hub_row(PUBLISHED))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    cache = tmp_path / "hf" / "hub" / "models--owner--repo"
    (cache / "blobs").mkdir(parents=True)
    (cache / "snapshots" / COMMIT).mkdir(parents=True)
    blob = cache / "blobs" / digest(PUBLISHED)
    blob.write_bytes(PUBLISHED)
    (cache / "snapshots" / COMMIT / "model.safetensors").symlink_to(blob)
    assert same(resolve("net"))
    assert blob.read_bytes() == PUBLISHED


# ---- the user's own files ---------------------------------------------------------------------------------


def test_a_users_safetensors_is_used_in_place(tmp_path: Path, store: Path) -> None:
    path = tmp_path / "mine.safetensors"
    path.write_bytes(PUBLISHED)
    assert resolve(str(path)) == path
    assert not store.exists()


def test_a_users_checkpoint_is_converted_once_and_left_alone(tmp_path: Path, checkpoint: bytes, store: Path) -> None:
    path = tmp_path / "mine.pth"
    path.write_bytes(checkpoint)
    first = resolve(str(path))
    assert same(first)
    changed = first.stat().st_mtime_ns
    assert resolve(str(path)) == first
    assert first.stat().st_mtime_ns == changed
    assert path.read_bytes() == checkpoint
    first.write_bytes(b"damaged")
    assert same(resolve(str(path)))


def test_a_manifest_name_wins_over_a_file_and_a_path_reaches_the_file(
    site: Site, checkpoint: bytes, use_manifest: UseManifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_manifest(https_row(site.put("/net.pth", checkpoint), sha256=digest(checkpoint)))
    monkeypatch.chdir(tmp_path)
    torch.save({"mine": torch.zeros(1)}, "net")
    assert same(resolve("net"))
    assert list(load_state_dict(resolve("./net"))) == ["mine"]


def test_a_full_disk_while_converting_keeps_the_download(
    site: Site, checkpoint: bytes, use_manifest: UseManifest, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_manifest(https_row(site.put("/net.pth", checkpoint), sha256=digest(checkpoint)))

    def full(*arguments: object, **how: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("safetensors.torch.save_file", full)
        with pytest.raises(DiskFault, match="disk is full"):
            resolve("net")
    assert files(store) == ["net.part", "net.part.json"]
    assert same(resolve("net"))
    assert len(site.requests()) == 1
