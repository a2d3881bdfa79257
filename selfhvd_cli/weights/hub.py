"""The Hub's side of a pull: address, login, what it states about a file, and what its own cache already has."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from selfhvd_cli.errors import WeightsFault
from selfhvd_cli.weights.https import Download
from selfhvd_cli.weights.patience import Patience
from selfhvd_cli.weights.spec import COMMIT, SHA256, WeightSpec
from selfhvd_cli.weights.verify import matches
from selfhvd_cli.weights.web import Passing, look_up, pause_after

# huggingface_hub's own download is not used: its partial files belong to one process and vanish with it, so nothing
# resumes, and it names files after what the server answers. Its address, token, folders and offline rules are.


@dataclass(frozen=True)
class HubFile:
    """What the Hub says about a file."""

    download: Download
    """Where and how to fetch it, at that commit."""

    commit: str
    """The commit that the revision means now."""

    sha256: str
    """As stated for large files; empty for small ones."""


def describe(spec: WeightSpec, mirror: str | None, patience: Patience) -> Generator[str, None, HubFile]:
    """Ask the Hub about a file; yields words about retries, returns the answer.

    Raises:
        WeightsFault: refused, not there, or it states another hash, size or commit than the manifest.
    """
    from huggingface_hub import get_token, hf_hub_url

    endpoint = (mirror or os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
    # The token is the Hub's; a mirror named for one pull is somebody else.
    token = None if mirror else os.environ.get("HF_TOKEN") or get_token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = hf_hub_url(spec.repo, spec.filename, revision=spec.revision, endpoint=endpoint)
    failures = 0
    while True:
        try:
            answer = look_up(url, headers, patience.silence)
            break
        except Passing as trouble:
            failures += 1
            wait = pause_after(trouble, failures, patience)
            yield f"{trouble}; next try in {wait:.0f} s"
            time.sleep(wait)
    commit = (answer.get("X-Repo-Commit") or "").strip().lower()
    if not COMMIT.fullmatch(commit):
        raise WeightsFault(
            f"{urlsplit(endpoint).hostname}: does not answer like a Hub (no commit for {spec.address}); "
            f"check HF_ENDPOINT or --mirror, or whether a login page stands between."
        )
    if COMMIT.fullmatch(spec.revision) and commit != spec.revision:
        raise WeightsFault(f"{spec.name}: asked the Hub for commit {spec.revision}, got {commit}; refused.")
    stated = (answer.get("X-Linked-Etag") or answer.get("ETag") or "").strip('"').lower()
    sha256 = stated if SHA256.fullmatch(stated) else ""
    if sha256 and spec.expected_hash and not matches(sha256, spec.expected_hash):
        raise WeightsFault(
            f"{spec.name}: sha256 should be {spec.expected_hash}, the Hub offers {sha256}; it is not the known file."
        )
    length = answer.get("X-Linked-Size") or ""
    size = int(length) if length.isdigit() else spec.size
    if spec.size and size != spec.size:
        raise WeightsFault(
            f"{spec.name}: should have {spec.size} bytes, the Hub offers {size}; it is not the known file."
        )
    pinned = hf_hub_url(spec.repo, spec.filename, revision=commit, endpoint=endpoint)
    return HubFile(Download(pinned, headers, size), commit, sha256)


def cached_file(spec: WeightSpec) -> tuple[Path, str] | None:
    """The file and its commit in huggingface_hub's own cache (HF_HUB_CACHE, HF_HOME), if there."""
    from huggingface_hub import constants, try_to_load_from_cache

    home = os.environ.get("HF_HOME")
    cache = os.environ.get("HF_HUB_CACHE") or (f"{home}/hub" if home else constants.HF_HUB_CACHE)
    found = try_to_load_from_cache(spec.repo, spec.filename, cache_dir=cache, revision=spec.revision)
    if not isinstance(found, str):
        return None
    depth = len(Path(spec.filename).parts)
    return Path(found), Path(found).parents[depth - 1].name
