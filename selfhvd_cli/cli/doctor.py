"""`selfhvd doctor`: what this machine is and has, ready to paste into a bug report."""

from __future__ import annotations

import click

from selfhvd_cli.cli.console import Console, pass_console
from selfhvd_cli.cli.options import Command, json_option, quiet_option, verbose_option


@click.command(cls=Command)
@json_option
@quiet_option
@verbose_option
@pass_console
def doctor(console: Console) -> None:
    """Report versions, devices, encoders that really open, cache folders and conflicts.

    Nothing is changed or downloaded. Ends with 3 if something conflicts.
    """
    from selfhvd_cli.diagnose_machine import as_text, diagnose
    from selfhvd_cli.errors import EnvironmentFault

    with console.waiting("looking around"):
        diagnosis = diagnose()
    if console.json:
        console.data(diagnosis)
    else:
        # The report is this command's data, so it goes where `> report.txt` catches it.
        click.echo(as_text(diagnosis))
    for conflict in diagnosis.conflicts:
        console.warn(conflict)
    if diagnosis.conflicts:
        click.get_current_context().exit(EnvironmentFault.exit_code)
