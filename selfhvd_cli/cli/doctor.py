"""`selfhvd doctor`: what this machine is and has, ready to paste into a bug report."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from selfhvd_cli.cli.console import Console, pass_console
from selfhvd_cli.cli.options import Command, json_option, quiet_option, verbose_option

if TYPE_CHECKING:
    from selfhvd_cli.diagnose_machine import Diagnosis


@click.command(cls=Command)
@json_option
@quiet_option
@verbose_option
@pass_console
def doctor(console: Console) -> None:
    """Report versions, devices and whether they compute right, encoders that really open, folders and conflicts.

    Nothing is changed or downloaded. Ends with 3 if something conflicts.
    """
    from selfhvd_cli.diagnose_machine import doctor as diagnose
    from selfhvd_cli.errors import EnvironmentFault

    with console.waiting("looking around"):
        diagnosis = diagnose()
    if console.json:
        console.data(diagnosis)
    else:
        # The report is this command's data, so it goes where `> report.txt` catches it.
        click.echo("\n".join(_lines(diagnosis)))
    for conflict in diagnosis.conflicts:
        console.warn(conflict)
    if diagnosis.conflicts:
        click.get_current_context().exit(EnvironmentFault.exit_code)


def _lines(diagnosis: Diagnosis) -> list[str]:
    """The diagnosis in lines that can be pasted into a bug report."""
    return [
        f"selfhvd {diagnosis.selfhvd}",
        f"python {diagnosis.python}",
        f"system {diagnosis.system}",
        f"memory {diagnosis.memory}",
        *_part("devices", diagnosis.devices),
        *_part("arithmetic beside a CPU in float32", diagnosis.arithmetic),
        *_part("packages", (f"{name} {version}" for name, version in diagnosis.packages.items())),
        *_part("encoders", (f"{each.name}: {each.reason or 'works'}" for each in diagnosis.encoders)),
        *_part("folders", (f"{each.purpose}: {each.path} ({each.state})" for each in diagnosis.folders)),
        *_part("environment", (f"{name}={value}" for name, value in diagnosis.variables.items())),
        *_part("conflicts", diagnosis.conflicts),
    ]


def _part(title: str, lines: Iterable[str]) -> list[str]:
    indented = [f"  {line}" for line in lines]
    return [f"{title}:", *indented] if indented else [f"{title}: none"]
