"""How a run ends: every exception becomes one message and one exit code of `errors.NAMES`."""

from __future__ import annotations

import errno
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from selfhvd_cli.cli.console import Console
from selfhvd_cli.cli.interruptions import interruptible
from selfhvd_cli.errors import (
    INTERRUPTED,
    DiskFault,
    EnvironmentFault,
    MemoryFault,
    SelfHVDError,
    means_device_failed,
    means_out_of_memory,
)


def exit_code_of(run: Callable[[], Any], console: Console) -> int:
    """Run a command to its end; say what went wrong, if anything did, and give the exit code."""
    try:
        with interruptible(), _side_remarks(console):
            outcome = run()
        # Outside standalone mode click returns the code of `ctx.exit(code)` in place of the command's value.
        code = outcome if isinstance(outcome, int) else 0
        if sys.stdout is not None:  # it is where the shell closed it: >&-
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our stdout has seen enough; point it elsewhere or Python complains again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except (KeyboardInterrupt, click.Abort) as fault:
        code = INTERRUPTED
        console.fail(_interruption_message(fault), code)
    except click.exceptions.NoArgsIsHelpError as fault:
        click.echo(fault.format_message(), err=True)
        code = fault.exit_code
    except click.ClickException as fault:
        code = _report(fault, console)
    except Exception as fault:
        code = _report_unexpected(fault, console)
    return code


def as_fault(fault: BaseException) -> SelfHVDError | None:
    """The user's side of a failure that comes from the system instead of our own code, if it has one."""
    if isinstance(fault, SelfHVDError):
        return fault
    if means_out_of_memory(fault):
        return MemoryFault("out of memory; close other programs, or give a smaller --tile, --window or --max-memory.")
    if means_device_failed(fault):
        why = str(fault).strip().splitlines()[0]
        return EnvironmentFault(f"the GPU failed in the middle ({why}); try again, or with --device cpu.")
    if isinstance(fault, OSError) and fault.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFault(f"{fault.filename or 'output'}: the disk is full; free some space or choose another -o.")
    if isinstance(fault, OSError) and fault.errno == errno.ENAMETOOLONG:
        return DiskFault(f"{fault.filename}: the name is too long for this disk; give a shorter one with -o.")
    if isinstance(fault, OSError) and fault.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return DiskFault(f"{fault.filename}: {fault.strerror}; choose another place with -o.")
    return None


def _interruption_message(fault: BaseException) -> str:
    # click turns KeyboardInterrupt into Abort; the original, with its message, is the cause or context.
    cause = fault if isinstance(fault, KeyboardInterrupt) else fault.__cause__ or fault.__context__
    return str(cause or "") or "interrupted."


def _report(fault: click.ClickException, console: Console) -> int:
    if console.verbosity >= 2:
        console.detail(traceback.format_exc())
    message = fault.format_message()
    if isinstance(fault, click.UsageError) and fault.ctx is not None:
        message += f' Try "{fault.ctx.command_path} --help".'
    console.fail(message, fault.exit_code)
    return fault.exit_code


def _report_unexpected(fault: Exception, console: Console) -> int:
    known = as_fault(fault)
    if known is not None:
        return _report(known, console)
    if console.verbosity >= 2:
        console.detail(traceback.format_exc())
        advice = "This is a defect: please report it with the lines above and the output of selfhvd doctor."
    else:
        advice = "This is a defect: run again with -vv and report what it shows, with the output of selfhvd doctor."
    console.fail(f"{type(fault).__name__}: {fault}. {advice}", 1)
    return 1


@contextmanager
def _side_remarks(console: Console) -> Iterator[None]:
    """Show what layers log and libraries warn of as details, instead of as they please."""

    class Relay(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            console.detail(self.format(record))

    def show_warning(message: Warning | str, category: type[Warning], *place: Any) -> None:
        console.detail(f"{category.__name__}: {message}")

    logger, relay = logging.getLogger("selfhvd_cli"), Relay()
    level = logger.level
    logger.addHandler(relay)
    logger.setLevel(logging.INFO)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = show_warning  # type: ignore[assignment]
            yield
    finally:
        logger.removeHandler(relay)
        logger.setLevel(level)
