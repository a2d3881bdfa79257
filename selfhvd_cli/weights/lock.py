"""One writer at a time for a file of the store; the kernel frees the lock of a process that dies."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from selfhvd_cli.errors import DiskFault

LOOK_AGAIN = 2.0
"""Seconds to wait for another process before saying so again."""


class StoreLock:
    """An empty file that at most one process holds; leaving the `with` block lets it go."""

    def __init__(self, path: Path) -> None:
        from filelock import FileLock

        self._lock = FileLock(path, thread_local=False)  # one thread may take it, and another let it go
        self._path = path

    def acquire(self, seconds: float = LOOK_AGAIN) -> bool:
        """Try to take it for so long; False while another process has it. On a disk that knows no locks nobody has.

        Raises:
            DiskFault: the folder cannot be written.
        """
        from filelock import Timeout

        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=seconds)
        except Timeout:
            return False
        except NotImplementedError:  # filelock's word for such a disk
            return True
        except OSError as fault:
            raise DiskFault(
                f"{self._path.parent}: cannot be written ({fault.strerror or fault}); "
                f"choose another folder for weights: SELFHVD_WEIGHTS_DIR=FOLDER"
            ) from fault
        return True

    def __enter__(self) -> StoreLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()
