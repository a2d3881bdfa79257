"""From a reference (manifest name, own name, file, `hf://owner/repo/file[@revision]`) to a checked file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from selfhvd_cli.weights.find import find
from selfhvd_cli.weights.load import load_state_dict, read_metadata, read_shapes
from selfhvd_cli.weights.pull import pull
from selfhvd_cli.weights.record import check_record
from selfhvd_cli.weights.reference import parse_reference
from selfhvd_cli.weights.report import PullReport
from selfhvd_cli.weights.save import save_state_dict
from selfhvd_cli.weights.spec import WeightSpec

__all__ = ["find", "load_state_dict", "read_metadata", "read_shapes", "resolve", "save_state_dict"]


def resolve(
    reference: str,
    *,
    offline: bool = False,
    mirror: str | None = None,
    progress: Callable[[PullReport], None] | None = None,
) -> Path:
    """The safetensors file a reference means, fetched and converted if it is not here yet; its hash was checked.

    Args:
        reference: manifest name, name of imported or adapted weights, path, or `hf://owner/repo/file[@revision]`.
        offline: never touch the network (SELFHVD_OFFLINE and HF_HUB_OFFLINE say the same).
        mirror: base address used instead of the published one, see `pull`.
        progress: called with every report of the pull.

    Raises:
        WeightsFault: unknown, not reachable, damaged, refused, or not here while offline.
        DiskFault: the store cannot be written.
    """
    target = parse_reference(reference)
    if isinstance(target, WeightSpec) and (found := find(target)) is not None:
        return found
    if isinstance(target, Path) and target.suffix == ".safetensors":
        check_record(target)
        read_shapes(target)
        return target
    path: Path | None = None
    for report in pull(reference, offline=offline, mirror=mirror):
        path = report.path
        if progress is not None:
            progress(report)
    assert path is not None, "a pull ends with a path or a fault"
    return path
