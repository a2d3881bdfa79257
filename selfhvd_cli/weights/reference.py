"""The three ways to name weights: by name, by file, by `hf://owner/repo/file[@revision]`."""

from __future__ import annotations

import hashlib
import re
from difflib import get_close_matches
from pathlib import Path

from selfhvd_cli.errors import WeightsFault
from selfhvd_cli.weights.locate import adapted_files
from selfhvd_cli.weights.record import stored_file
from selfhvd_cli.weights.redact import redact
from selfhvd_cli.weights.spec import NAME, REPO, REVISION, WeightSpec, check_inside, manifest

HUB = "hf://"


def parse_reference(reference: str) -> WeightSpec | Path:
    """What a reference means: something to fetch, or a file that exists.

    A manifest name wins over a file of that name in the current folder; `./lite` is the file.

    Raises:
        WeightsFault: it is none of the three, and the message lists close names; or several files have that name.
    """
    if reference.startswith(HUB):
        return hub_reference(reference)
    if reference in manifest():
        return manifest()[reference]
    if NAME.fullmatch(reference) and (own := stored_file(reference)) is not None:
        alike = [str(path) for path in adapted_files(reference)]
        if len(alike) > 1:
            raise WeightsFault(f"{reference}: clips of one name were adapted to; give the file: {', '.join(alike)}.")
        return own
    path = Path(reference).expanduser()
    if path.is_file():
        return path
    if "://" in reference:
        raise WeightsFault(
            f"{redact(reference)}: addresses other than hf://owner/repo/file are not fetched; "
            f"download the file, then: selfhvd weights import FILE"
        )
    near = get_close_matches(reference, manifest(), n=1)
    hint = f'did you mean "{near[0]}"? ' if near else ""
    raise WeightsFault(f"{reference}: no such weights and no such file; {hint}selfhvd weights list shows all names.")


def hub_reference(reference: str) -> WeightSpec:
    """`hf://owner/repo/path/file[@revision]` as an entry of its own, named after what it points to.

    Raises:
        WeightsFault: it is not of that form.
    """
    path, _, revision = reference.removeprefix(HUB).partition("@")
    owner, _, rest = path.partition("/")
    repository, _, filename = rest.partition("/")
    repo = f"{owner}/{repository}"
    try:
        if not REPO.fullmatch(repo) or not REVISION.fullmatch(revision or "main"):
            raise ValueError("owner, repository or revision is malformed")
        check_inside(filename, "file")
    except ValueError as fault:
        raise WeightsFault(f"{redact(reference)}: {fault}; expected hf://owner/repo/file[@revision].") from fault
    # Two references may read alike once slashes are gone; the digits keep their files apart.
    digits = hashlib.sha256(reference.encode()).hexdigest()[:8]
    stem = re.sub(r"[^A-Za-z0-9._-]", "-", f"{owner}-{repository}-{filename.rpartition('/')[2]}")[:120]
    return WeightSpec(
        name=f"hf-{stem}-{digits}",
        kind="other",
        architecture="",
        source="hub",
        repo=repo,
        revision=revision or "main",
        filename=filename,
        page=f"https://huggingface.co/{repo}",
    )
