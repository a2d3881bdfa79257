"""How the process gets its memory: large blocks are kept and reused, in huge pages where the system offers them."""

from __future__ import annotations

import ctypes
import os
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8
"""Names of glibc's `mallopt`."""

MADV_HUGEPAGE = 14
"""Name of Linux' `madvise`."""

PAGE_ALIGNED = "1"
"""Has torch begin large blocks at a page. What malloc cuts off to align them is then mostly too much for its drawer
of small pieces, which would keep freed neighbours apart: with it 1080p took 3.22 GB for 3.43 and 0.95 of the time."""

HUGE_PAGE = 2 << 20

RESERVED = 0.75
"""Share of the machine's memory whose addresses are reserved, and nothing but the addresses."""


def keep_large_blocks() -> None:
    """Stop the allocator from handing every large tensor back to the system; call it before torch is imported.

    A network on the CPU makes and drops hundreds of tensors of tens of megabytes a frame, and by default each is
    fresh memory whose pages the system must clear again: more time than the convolutions take. One heap for all
    threads, reserved beforehand in huge pages, never cut back, has them clear a page once. Only Linux with glibc is
    like that; elsewhere nothing is done. It changes the whole process, so the command does it and the library
    does not.
    """
    if not sys.platform.startswith("linux"):
        return
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):
        return
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", PAGE_ALIGNED)
    library.mallopt(M_MMAP_MAX, 0)
    library.mallopt(M_TRIM_THRESHOLD, -1)
    library.mallopt(M_ARENA_MAX, 1)
    if not _addresses_are_limited():
        _reserve(library, int(RESERVED * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")))


def _addresses_are_limited() -> bool:
    """Whether somebody counts addresses (ulimit -v): then they are better left to those who use them."""
    import resource

    limits = (resource.RLIMIT_AS, resource.RLIMIT_DATA)
    return any(resource.getrlimit(limit)[0] != resource.RLIM_INFINITY for limit in limits)


def _reserve(library: ctypes.CDLL, size: int) -> None:
    """Let the heap grow to `size` bytes, or to what the system allows, and ask for huge pages there."""
    library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    library.free.argtypes = [ctypes.c_void_p]
    library.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    while size > 64 * HUGE_PAGE:
        start = library.malloc(size)
        if start:
            first = -(-start // HUGE_PAGE) * HUGE_PAGE
            library.madvise(first, (start + size - first) // HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE)
            library.free(start)
            return
        size //= 2
