"""Memory: how much there is, and knowing when it ran out."""

from __future__ import annotations

import gc
import os
from collections.abc import Sequence
from pathlib import Path

import torch

FALLBACK_BYTES = 4 << 30
"""Assumed where the system does not say what is free."""

_CGROUP = Path("/sys/fs/cgroup")


def available_memory(device: torch.device, max_memory: int | None = None) -> int:
    """Bytes that may still be allocated on a device, the limits of a container and `max_memory` honoured.

    Args:
        device: cuda, mps or cpu; mps shares the host's memory.
        max_memory: the user's own limit in bytes for what a run takes.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # What the caching allocator holds and does not use is free to us, although not to others.
        free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    else:
        free = available_host_memory()
    return free if max_memory is None else min(free, max_memory)


def share_of_memory(devices: Sequence[torch.device], device: torch.device, max_memory: int | None) -> int | None:
    """The limit for each of several processes, one on each of `devices`, of which some share one memory.

    Args:
        device: whose memory is shared.
        max_memory: the user's own limit in bytes for what the run takes; it is the answer where nobody shares.
    """
    sharing = sum(_memory_of(each) == _memory_of(device) for each in devices)
    return max_memory if sharing < 2 else available_memory(device, max_memory) // sharing


def _memory_of(device: torch.device) -> str:
    return str(device) if device.type == "cuda" else "the computer's"


def available_host_memory(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = _CGROUP) -> int:
    """Bytes of main memory a process may still take: the smaller of the machine's and its container's."""
    known = [free for free in (_machine_free(meminfo), _cgroup_free(cgroup)) if free is not None]
    return max(0, min(known)) if known else FALLBACK_BYTES


def _machine_free(meminfo: Path) -> int | None:
    try:
        for line in meminfo.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    try:  # no /proc: macOS and the BSDs know the total only
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, ValueError, OSError):
        return None


def _cgroup_free(root: Path) -> int | None:
    """Limit less usage of the container, version 2 then 1; file cache counts as free, the kernel drops it first."""
    for limit_file, usage_file, stat_file, cache_key in (
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
    ):
        try:
            limit = (root / limit_file).read_text(encoding="ascii").strip()
            if limit == "max":
                return None
            used = int((root / usage_file).read_text(encoding="ascii"))
            cache = 0
            for line in (root / stat_file).read_text(encoding="ascii").splitlines():
                if line.startswith(f"{cache_key} "):
                    cache = int(line.split()[1])
            return int(limit) - used + cache
        except (OSError, ValueError):
            continue
    return None


def release(device: torch.device) -> None:
    """Give back what a failed attempt left behind, so that the next one can have it."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def in_words(size: int) -> str:
    """Bytes as people read them: `1.5 GiB`."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size / 1024:.0f} KiB"
