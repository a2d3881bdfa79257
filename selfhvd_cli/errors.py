"""Every fault a user can meet, each with the exit code its command ends with.

    SelfHVDError            1  processing failed
    ├── UsageFault          2  the command line asks for something that cannot be
    ├── EnvironmentFault    3  this machine lacks a device or an encoder
    ├── InputFault          4  an input is missing or cannot be read
    ├── WeightsFault        5  weights are missing, damaged or of another network
    ├── MemoryFault         6  out of memory, also after smaller tiles and windows
    ├── DiskFault           7  an output cannot be written
    └── BatchFault          8  some inputs of a batch failed
Interrupted runs end with 130 (`INTERRUPTED`), which is no fault.
"""

from __future__ import annotations

import errno
import pickle
from collections.abc import Mapping

import click

INTERRUPTED = 130
"""Exit code after Ctrl-C or a termination signal."""


class SelfHVDError(click.ClickException):
    """Something failed that the user should read about: what, what we got, what to do.

    Being a `click.ClickException`, it ends a command with its message and `exit_code`, and no traceback.
    """

    exit_code = 1


class UsageFault(SelfHVDError):
    """The request contradicts itself or names something that does not exist."""

    exit_code = 2


class EnvironmentFault(SelfHVDError):
    """The machine lacks what was asked for: a device, an encoder, a package."""

    exit_code = 3


class InputFault(SelfHVDError):
    """An input is missing, damaged, or holds nothing to work on."""

    exit_code = 4


class WeightsFault(SelfHVDError):
    """Weights are missing, damaged, refused, or belong to another network; or the network was not reachable."""

    exit_code = 5


class MemoryFault(SelfHVDError):
    """The work does not fit into memory, also after the retries with smaller pieces."""

    exit_code = 6


class DiskFault(SelfHVDError):
    """An output could not be written: no space, no permission, no folder."""

    exit_code = 7


class BatchFault(SelfHVDError):
    """Some inputs of a batch failed; the others were finished."""

    exit_code = 8


NAMES: Mapping[int, str] = {
    0: "ok",
    1: "processing failed",
    2: "usage",
    3: "environment",
    4: "input unreadable",
    5: "weights",
    6: "out of memory",
    7: "disk",
    8: "batch partly failed",
    INTERRUPTED: "interrupted",
}
"""What each exit code means, for `--json` and for messages."""


NO_MEMORY = (
    "DefaultCPUAllocator",
    "[enforce fail",
    "out of memory",
    "not enough memory",
    "Insufficient memory",
    "annot allocate memory",
    "bad_alloc",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "could not create a primitive",
    "could not create a memory",
    "can't start new thread",
    "Invalid thread pool",
    "failed to map segment",
)
"""What libraries, Python and the loader say where an allocation failed, in errors of common kinds."""


def means_out_of_memory(fault: BaseException) -> bool:
    """Whether an error says that there was not enough memory, on whichever device."""
    # torch's own class is recognised by name: a run that failed before torch was needed must not import it.
    if isinstance(fault, MemoryError) or type(fault).__name__ == "OutOfMemoryError":
        return True
    if isinstance(fault, OSError) and fault.errno == errno.ENOMEM:
        return True
    # A library that overlooked what Python raised in it.
    if isinstance(fault, SystemError) and fault.__cause__ is not None:
        return means_out_of_memory(fault.__cause__)
    # OpenCV's class by its module, for the same reason.
    common = isinstance(fault, (RuntimeError, ImportError)) or type(fault).__module__ == "cv2"
    return common and any(sign in str(fault) for sign in NO_MEMORY)


DEVICE_FAILED = (
    "CUDA error",
    "CUDA driver error",
    "cuDNN error",
    "CUDNN_STATUS",
    "CUBLAS_STATUS",
    "device-side assert",
)
"""What torch says where a GPU stopped working: it fell off the bus, was reset, or its program failed."""


def means_device_failed(fault: BaseException) -> bool:
    """Whether an error says that a GPU failed; nothing can be computed on it any more in this process."""
    if means_out_of_memory(fault):
        return False
    if type(fault).__name__ == "AcceleratorError":
        return True
    return isinstance(fault, RuntimeError) and any(sign in str(fault) for sign in DEVICE_FAILED)


def portable(fault: Exception) -> Exception:
    """The fault, or its words where it cannot be sent to another process; what it means can be told there, too."""
    try:
        if type(pickle.loads(pickle.dumps(fault))) is type(fault):
            return fault
    except Exception:  # whatever a foreign class does when it is copied
        pass
    kind = RuntimeError if isinstance(fault, RuntimeError) else SelfHVDError
    return kind(f"{type(fault).__name__}: {fault}")
