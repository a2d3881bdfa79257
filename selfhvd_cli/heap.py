"""How the process gets its memory: large blocks are kept and reused, in huge pages where the system offers them."""

from __future__ import annotations

import ctypes
import os
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
"""Names of glibc's `mallopt`."""


def keep_large_blocks() -> None:
    """Stop the allocator from handing every large tensor back to the system; call it before torch is imported.

    A network on the CPU makes and drops hundreds of tensors of tens of megabytes a frame, and by default each is
    fresh memory whose pages the system must clear again: more time than the convolutions take. Only Linux with glibc
    is like that; elsewhere nothing is done. It changes the whole process, so the command does it and the library
    does not.
    """
    if not sys.platform.startswith("linux"):
        return
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(M_MMAP_MAX, 0)
        set_option(M_TRIM_THRESHOLD, 2**31 - 1)
        set_option(M_TOP_PAD, 64 << 20)
