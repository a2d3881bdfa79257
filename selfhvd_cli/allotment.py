"""Allotment: what of the machine a process may take, as its container, batch system or affinity leaves it.

Linux counts and limits by control groups, version 1 (a folder for each kind of limit) or 2 (one for all). A process
is bound by its own group and by all that contain it: in a container the root is what it sees, in a job of a batch
system or a service it lies some folders below.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

FALLBACK_BYTES = 4 << 30
"""Assumed where the system does not say what is free."""

ROOT, OWN, MEMINFO = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup"), Path("/proc/meminfo")


def available_host_memory(meminfo: Path = MEMINFO, own: Path = OWN, root: Path = ROOT) -> int:
    """Bytes of main memory this process may still take: the least that the machine and its groups leave.

    Args:
        meminfo, own, root: where Linux tells what is free, the process's groups, and their limits.
    """
    free = [_machine_free(meminfo), *(_group_free(group) for group in _groups("memory", own, root))]
    known = [each for each in free if each is not None]
    return max(0, min(known)) if known else FALLBACK_BYTES


def processors(own: Path = OWN, root: Path = ROOT) -> int:
    """How many processors this process can keep busy: those it may run on, or fewer by the time it is given."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    shares = (_share_of_time(group) for group in _groups("cpu", own, root))
    return max(1, math.ceil(min([count, *(share for share in shares if share is not None)])))


def _groups(kind: str, own: Path, root: Path) -> Iterator[Path]:
    """Folders with the limits of one kind that bind this process, from its own group outwards.

    Args:
        kind: `memory` or `cpu`.
    """
    for line in _lines(own):
        number, kinds, place = [*line.split(":", 2), "", ""][:3]
        if number != "0" and kind not in kinds.split(","):
            continue
        top = root if number == "0" else root / kind
        # A container may be told its place outside, of which nothing but the root is to be seen.
        parts = [part for part in place.split("/") if part]
        for depth in range(0 if ".." in parts else len(parts), -1, -1):
            group = top.joinpath(*parts[:depth])
            if group.is_dir():
                yield group


def _machine_free(meminfo: Path) -> int | None:
    for line in _lines(meminfo):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    try:  # no /proc: macOS and the BSDs know the total only
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, ValueError, OSError):
        return None


def _group_free(group: Path) -> int | None:
    """Limit less usage of a group; file cache counts as free, the kernel drops it first."""
    for limit, usage, cache in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        allowed, used = _number(group / limit), _number(group / usage)
        if allowed is None or used is None:
            continue
        cached = [line.split()[1] for line in _lines(group / "memory.stat") if line.startswith(f"{cache} ")]
        return int(allowed) - int(used) + sum(map(int, cached))
    return None


def _share_of_time(group: Path) -> float | None:
    """Processors' worth of time that a group is given; None where that is not limited."""
    together = [*_lines(group / "cpu.max"), ""][0].split()
    if len(together) == 2 and together[0] != "max":
        return float(together[0]) / float(together[1])
    quota, period = _number(group / "cpu.cfs_quota_us"), _number(group / "cpu.cfs_period_us")
    return quota / period if quota is not None and quota > 0 and period else None


def _number(file: Path) -> float | None:
    """The number in a file; None where there is none, or it is `max`."""
    try:
        return float(_lines(file)[0])
    except (IndexError, ValueError):
        return None


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
