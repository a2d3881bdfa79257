"""The manifest: every file of weights known by name, as checked values; needs no torch."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from selfhvd_cli.errors import WeightsFault

Kind = Literal["deblur", "flow", "perceptual", "metric", "other"]
Source = Literal["embedded", "https", "hub", "by hand"]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
"""What may become a file's name; it can neither leave a folder nor hide in it."""

REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
COMMIT = re.compile(r"[0-9a-f]{40}")
SHA256 = re.compile(r"[0-9a-f]{64}")
PREFIX = re.compile(r"[0-9a-f]{8,63}")


@dataclass(frozen=True)
class WeightSpec:
    """One published file of weights: where it is, how to recognise it, what it is for."""

    name: str
    """What the user types; also the stem of the file in the store."""

    kind: Kind
    """What it is for."""

    architecture: str
    """The network whose keys the file holds; empty when unknown (an `hf://` reference)."""

    source: Source
    """How it gets here."""

    filename: str
    """Name of the published file; on the Hub a path inside the repository."""

    url: str = ""
    """Address of the file, for `https`."""

    repo: str = ""
    """`owner/name` on the Hub, for `hub`."""

    revision: str = ""
    """Commit (or branch, which the first pull pins to its commit) on the Hub."""

    sha256: str = ""
    """Of the published file; empty where none is known."""

    hash_prefix: str = ""
    """First digits of the sha256, where the authors put them into the file's name."""

    size: int = 0
    """Bytes of the published file; 0 where unknown."""

    license: str = "not stated"
    """As the authors state it."""

    page: str = ""
    """Where a person reads more."""

    citation: str = ""
    """What to cite."""

    trained_on: str = ""
    """Data the weights come from."""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"name must be letters, digits, dots, dashes and underscores, got {self.name!r}")
        if self.kind not in get_args(Kind) or self.source not in get_args(Source):
            raise ValueError(f"{self.name}: unknown kind {self.kind!r} or source {self.source!r}")
        check_inside(self.filename, self.name)
        if self.source == "https" and not self.url.startswith(("https://", "http://")):
            raise ValueError(f"{self.name}: url must be http(s), got {self.url!r}")
        if self.source == "hub" and not (REPO.fullmatch(self.repo) and REVISION.fullmatch(self.revision)):
            raise ValueError(f"{self.name}: expected owner/name and a revision, got {self.repo!r}, {self.revision!r}")
        if self.sha256 and not SHA256.fullmatch(self.sha256):
            raise ValueError(f"{self.name}: sha256 must be 64 lower-case hex digits, got {self.sha256!r}")
        if self.hash_prefix and not PREFIX.fullmatch(self.hash_prefix):
            raise ValueError(f"{self.name}: hash_prefix must be 8 or more hex digits, got {self.hash_prefix!r}")

    @property
    def expected_hash(self) -> str:
        """The whole sha256, or its known first digits, or nothing."""
        return self.sha256 or self.hash_prefix

    @property
    def address(self) -> str:
        """Where the file comes from, for people."""
        if self.source == "hub":
            return f"hf://{self.repo}/{self.filename}@{self.revision}"
        return self.url or (self.page if self.source == "by hand" else self.filename)

    @property
    def is_pickled(self) -> bool:
        """Whether the published file is torch's own format, to be converted once."""
        return not self.filename.endswith(".safetensors")


def check_inside(path: str, what: str) -> None:
    """Refuse a relative path that leaves its folder or is written in another system's way.

    Raises:
        ValueError: the path is absolute, climbs, or holds a backslash, colon or control character.
    """
    parts = path.split("/")
    if any(not NAME.fullmatch(part) for part in parts):
        raise ValueError(f"{what}: {path!r} is no plain relative path")


def embedded_folder() -> Path:
    """Where the shipped weights and the manifest are: inside the wheel, or `weights/` of a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "embedded"
    return inside if (inside / "manifest.toml").is_file() else package.parent / "weights"


def read_manifest(path: Path) -> Mapping[str, WeightSpec]:
    """The rows of a manifest file by name, in its order.

    Raises:
        WeightsFault: the file is missing or damaged; a row is wrong or comes twice.
    """
    try:
        rows: list[dict[str, Any]] = tomllib.loads(path.read_text(encoding="utf-8"))["weights"]
        if not (isinstance(rows, list) and all(isinstance(row, dict) for row in rows)):
            raise KeyError("weights is no list of tables")
    except FileNotFoundError:
        raise WeightsFault(f"{path}: the manifest of weights is missing; install selfhvd again.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError) as fault:
        raise WeightsFault(f"{path}: the manifest of weights is damaged ({fault}); install selfhvd again.") from fault
    known = {field.name for field in fields(WeightSpec)}
    specs: dict[str, WeightSpec] = {}
    for row in rows:
        if unknown := row.keys() - known:
            row_name = row.get("name", "a row")
            raise WeightsFault(f"{path}: unknown fields {', '.join(sorted(unknown))} in {row_name!r}.")
        try:
            spec = WeightSpec(**row)
        except (TypeError, ValueError) as fault:
            raise WeightsFault(f"{path}: {fault}.") from fault
        if spec.name in specs:
            raise WeightsFault(f"{path}: {spec.name!r} comes twice.")
        specs[spec.name] = spec
    return specs


@cache
def manifest() -> Mapping[str, WeightSpec]:
    """Every known entry by name, in the manifest's order."""
    return read_manifest(embedded_folder() / "manifest.toml")


def default_for(architecture: str) -> WeightSpec:
    """The entry a network gets when the user names none: the manifest's first one of that architecture.

    Raises:
        WeightsFault: nobody has published weights of that network.
    """
    for spec in manifest().values():
        if spec.architecture == architecture:
            return spec
    raise WeightsFault(
        f"{architecture}: no published weights are known; give a file of yours with --weights FILE, "
        "or choose another --model."
    )
