"""One damaged file through the whole command, in a process of its own with bounded memory and time."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from selfhvd_cli.video.container import MUXERS

REFUSED = (4,)
"""Exit codes with which a damaged file may be refused."""

MEMORY = 1200 << 20
"""Bytes a trial may take beyond what the program itself does."""

SECONDS = 20
"""Processor time a trial may take."""


@dataclass(frozen=True)
class Outcome:
    """How a trial ended."""

    code: int
    """Exit code; negative for a signal."""

    said: str
    seconds: float
    memory: int
    """Peak beyond the program's own, bytes."""

    left: tuple[str, ...]
    """Files that should not be there."""

    @property
    def complaint(self) -> str | None:
        """What is wrong with this end; None where all is well."""
        if self.code < 0:
            return f"killed by {signal.Signals(-self.code).name}"
        if "Traceback" in self.said or "This is a defect" in self.said:
            return "a defect came through"
        if self.left:
            return f"left behind: {', '.join(self.left)}"
        if self.code not in (0, *REFUSED):
            return f"exit code {self.code}"
        if self.code and self.said.count("Error (") != 1:
            return "not one message"
        if self.memory > MEMORY:
            return f"took {self.memory >> 20} MiB"
        return None


def warm_up() -> None:
    """Import everything a trial needs, so that each forked one starts at once."""
    import selfhvd_cli.cli.batch
    import selfhvd_cli.cli.deblur
    import selfhvd_cli.cli.deblur_runs
    import selfhvd_cli.deblur_video  # noqa: F401


def run_trial(source: Path, *options: str) -> Outcome:
    """`selfhvd deblur --strength 0` on a file; what it wrote is taken away again."""
    folder = source.parent
    before = {path.name for path in folder.iterdir()}
    target, log = folder / f"out{source.suffix if source.suffix in MUXERS else '.mkv'}", folder / "said.txt"
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.monotonic()
    arguments = ["deblur", str(source), "-o", str(target), "--strength", "0", "--preset", "ultrafast", *options]
    child = start(arguments, log, limited=True)
    _, status, usage = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    said = log.read_text(errors="replace") if log.exists() else ""
    allowed = {*before, log.name, *([target.name] if code == 0 else [])}
    after = {path.name for path in folder.iterdir()}
    left = tuple(sorted(after - allowed))
    if code == 0 and target.name not in after:
        left = (*left, "no output")
    for name in after - before:
        (folder / name).unlink()
    memory = max(0, (usage.ru_maxrss - own) << 10)
    return Outcome(code, said, time.monotonic() - begin, memory, left)


def start(arguments: Sequence[str], log: Path, limited: bool = False) -> int:
    """Run `selfhvd` in a fork of this process, what it says going to `log`; the process number.

    Args:
        limited: end it when it takes too much memory or time.
    """
    child = os.fork()
    if child:
        return child
    code = 99
    try:  # never leaves this block: the child must not go on with the parent's work
        where = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(where, 1)
        os.dup2(where, 2)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if limited:
            _limit()
        from selfhvd_cli.cli import selfhvd

        try:
            selfhvd(list(arguments), prog_name="selfhvd")
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
    finally:
        os._exit(code)


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + 4 * MEMORY, size + 4 * MEMORY))
    signal.alarm(10 * SECONDS)
