"""Memory: how much there is, and knowing when it ran out."""

from __future__ import annotations

import gc
from collections.abc import Sequence

import torch

from selfhvd_cli.allotment import available_host_memory


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


def release(device: torch.device) -> None:
    """Give back what a failed attempt left behind, so that the next one can have it."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def short_of(what: str, needed: int, free: int) -> str:
    """The warning before work that may take more memory than there is."""
    return (
        f"memory is short: {in_words(free)} may be used, and about {in_words(needed)} is needed for {what}. If the "
        "run is ended by the system, give it more memory"
    )


def in_words(size: int) -> str:
    """Bytes as people read them: `1.5 GiB`."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size / 1024:.0f} KiB"
