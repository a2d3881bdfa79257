"""An entry's file, if it is on this machine, after its hash was checked."""

from __future__ import annotations

from pathlib import Path

from selfhvd_cli.errors import WeightsFault
from selfhvd_cli.weights.record import check_record, stored_file
from selfhvd_cli.weights.spec import WeightSpec, embedded_folder
from selfhvd_cli.weights.verify import check_hash


def find(spec: WeightSpec) -> Path | None:
    """The file of a manifest entry or `hf://` reference if it is here; its hash was checked.

    Raises:
        WeightsFault: it is here and damaged; or it should be embedded and is missing.
    """
    if spec.source != "embedded":
        path = stored_file(spec.name)
        if path is not None:
            check_record(path)
        return path
    path = embedded_folder() / spec.filename
    if not path.is_file():
        raise WeightsFault(f"{path}: the embedded weights are missing; install selfhvd again.")
    if not spec.sha256:
        raise WeightsFault(
            f"{spec.name}: the manifest has no sha256 for the embedded file; "
            f"python -m selfhvd_cli.weights.embed {path} writes it."
        )
    check_hash(path, spec.sha256, "the installation is damaged: install selfhvd again.")
    return path
