"""An output that appears whole or not at all: written beside its place as `.part`, renamed at the end."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from selfhvd_cli.durable import hold, put_in_place
from selfhvd_cli.errors import DiskFault, SelfHVDError, UsageFault

DISK_ERRORS = {
    errno.ENOSPC: "no space is left on the disk; free some, or write elsewhere with -o",
    errno.EDQUOT: "the disk quota is used up; free some, or write elsewhere with -o",
    errno.EROFS: "the disk is read-only; write elsewhere with -o",
    errno.EACCES: "no permission to write there; write elsewhere with -o",
    errno.EPERM: "no permission to write there; write elsewhere with -o",
    errno.EFBIG: "the file system cannot hold a file this large; write elsewhere with -o",
    errno.EIO: "the disk reports an input/output error",
    errno.ENOENT: "its folder is gone, or takes no files; write elsewhere with -o",
    errno.ENOTDIR: "its folder is gone, or takes no files; write elsewhere with -o",
    errno.ENAMETOOLONG: "the name is too long for this disk; give a shorter one with -o",
    errno.EINVAL: "this disk does not take such a file; write elsewhere with -o",
    errno.ESTALE: "the network disk has gone away; write elsewhere with -o",
}


class OutputFile:
    """The place of an output and its `.part`."""

    def __init__(self, target: Path, source: Path | None, overwrite: bool) -> None:
        """Check that the target may be written.

        Raises:
            UsageFault: it is the source (also through a link), or exists and `overwrite` is not set.
            DiskFault: its folder does not exist or cannot be written.
        """
        self.target = Path(target)
        self.part = self.target.with_name(self.target.name + ".part")
        self._claim: int | None = None
        if source is not None and same_file(self.target, source):
            raise UsageFault(f"{target}: the output would replace its own input; give another name with -o.")
        if source is not None and same_file(self.part, source):
            raise UsageFault(f"{target}: while it is written, its .part would replace the input; give another name.")
        if _is_special(self.target):
            raise UsageFault(f"{target}: is a device or pipe, no file; give another name with -o.")
        if self.target.exists() and not overwrite:
            raise UsageFault(f"{target}: exists already; use --overwrite, or give another name with -o.")
        folder = self.target.parent
        if not folder.is_dir():
            raise DiskFault(f"{target}: the folder {folder} does not exist; make it, or write elsewhere with -o.")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise DiskFault(f"{target}: {DISK_ERRORS[errno.EROFS if _is_read_only(folder) else errno.EACCES]}.")

    def claim(self, folder: bool = False) -> None:
        """Make the `.part` (a file, or an empty folder) and keep other runs from it until it is gone.

        Raises:
            UsageFault: another process writes it.
        """
        if os.name != "nt":
            self._claim = hold(self.part, folder)
            if self._claim is None:
                raise UsageFault(f"{self.target}: another selfhvd is writing it; wait, or name another with -o.")
        elif folder:
            self.part.mkdir(exist_ok=True)  # there nobody can replace or remove what another has open
        if folder:
            for each in self.part.iterdir():
                each.unlink()

    def commit(self) -> None:
        """Put the finished `.part` in the target's place."""
        with self.disk_faults():
            put_in_place(self.part, self.target)
        self._let_go()

    def discard(self) -> None:
        """Remove the `.part`."""
        if self.part.is_dir() and not self.part.is_symlink():
            shutil.rmtree(self.part, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                self.part.unlink(missing_ok=True)
        self._let_go()

    def _let_go(self) -> None:
        place, self._claim = self._claim, None
        if place is not None:
            os.close(place)

    @contextlib.contextmanager
    def disk_faults(self) -> Iterator[None]:
        """Turn what the disk refuses into a DiskFault."""
        try:
            yield
        except SelfHVDError:
            raise
        except OSError as fault:
            if fault.errno in DISK_ERRORS:
                raise DiskFault(f"{self.target}: {DISK_ERRORS[fault.errno]}.") from fault
            raise


def _is_read_only(folder: Path) -> bool:
    """Whether the whole disk is, not only the folder."""
    return hasattr(os, "statvfs") and bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def _is_special(path: Path) -> bool:
    """A rename would put a file in the place of a device such as /dev/null."""
    return path.exists() and not path.is_file() and not path.is_dir()


def same_file(one: Path, other: Path) -> bool:
    """Whether both are there and are one file, be it through a link."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
