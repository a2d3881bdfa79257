"""`selfhvd jobs`: the interrupted runs that could go on, and clearing away what they keep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from selfhvd_cli.cli.console import Console, pass_console
from selfhvd_cli.cli.options import Command, dry_run_option, option, output_options
from selfhvd_cli.cli.parameters import AgeType
from selfhvd_cli.cli.progress import size

if TYPE_CHECKING:
    from selfhvd_cli.list_jobs import UnfinishedJob


@click.group()
def jobs() -> None:
    """List interrupted runs that could go on, and clear away what they keep.

    A long deblur keeps its finished segments beside the output, and adapt a checkpoint beside the weights. The same
    command typed again goes on from there, and takes them away at its end.
    """


jobs.command_class = Command


@jobs.command("list")
@click.argument("folders", nargs=-1, metavar="[FOLDER]...", type=click.Path(path_type=Path))
@output_options
@pass_console
def list_command(console: Console, folders: tuple[Path, ...]) -> None:
    """Show the interrupted runs of this machine, or those in FOLDER and below."""
    from selfhvd_cli.list_jobs import jobs as list_jobs

    found = list_jobs(folders)
    if console.json:
        console.data({"jobs": found})
        return
    if not found:
        console.say("no interrupted run keeps anything")
        return
    _show(console, found)


@jobs.command("clean")
@click.argument("outputs", nargs=-1, metavar="[OUTPUT]...", type=click.Path(path_type=Path))
@option("--older", type=AgeType(), help="All that are older than this: 30d, 12h or 45m.")
@option("--all", "everything", is_flag=True, help="All of them.")
@dry_run_option
@output_options
@pass_console
def clean_command(
    console: Console, outputs: tuple[Path, ...], older: float | None, everything: bool, dry_run: bool
) -> None:
    """Free space: what is kept for OUTPUT..., or what nothing can go on from since its input is gone or has changed.

    Outputs and inputs are never touched, nor what a run is at work on.
    """
    from selfhvd_cli.list_jobs import clean_jobs

    removed = list(clean_jobs(outputs, everything=everything, older=older, dry_run=dry_run))
    freed = sum(job.bytes for job in removed)
    if removed:
        _show(console, removed)
    console.say(f"{size(freed)} {'would be freed' if dry_run else 'freed'}.")
    if console.json:
        console.data({"removed": removed, "bytes": freed, "dry_run": dry_run})


def _show(console: Console, found: Sequence[UnfinishedJob]) -> None:
    rows = [
        (
            job.command,
            job.output,
            "-" if job.source is None else job.source.name,
            _progress(job),
            size(job.bytes),
            age(job.age),
            job.state,
        )
        for job in found
    ]
    console.table(("command", "output", "input", "kept", "size", "age", "state"), rows)


def _progress(job: UnfinishedJob) -> str:
    if job.done is None:
        return "-"
    of = f" of {job.total}" if job.total is not None else ""
    return f"{job.done}{of} {job.unit}"


def age(seconds: float) -> str:
    """`3 min`, `5 h` or `12 d`."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return "now"
