"""Command group that imports a command's file only when that command is run."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import click

from selfhvd_cli.cli.console import Console
from selfhvd_cli.cli.ending import exit_code_of


@dataclass(frozen=True)
class CommandRow:
    """One line of the table of commands."""

    home: str
    """`module:attribute` of the command, relative to the group's package."""

    summary: str
    """Its line in the group's `--help`; kept here so that listing commands imports none of them."""


class LazyGroup(click.Group):
    """A group whose commands are rows of a table; also where every run ends with its exit code."""

    def __init__(self, *arguments: Any, rows: Mapping[str, CommandRow], package: str, **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self.rows = rows
        self.package = package

    def list_commands(self, context: click.Context) -> list[str]:
        return [name for name, row in self.rows.items() if find_spec(self._module_of(row)) is not None]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(context):
            return None
        row = self.rows[name]
        command: click.Command = getattr(import_module(self._module_of(row)), row.home.partition(":")[2])
        return command

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = arguments[0]
        names = self.list_commands(context)
        if name not in names and not name.startswith("-"):
            near = get_close_matches(name, names, n=1)
            remedy = f'did you mean "{near[0]}"?' if near else f"choose one of {', '.join(names)}."
            raise click.UsageError(f'there is no command "{name}"; {remedy}', context)
        return super().resolve_command(context, arguments)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        lines = [(name, self.rows[name].summary) for name in self.list_commands(context)]
        if lines:
            with formatter.section("Commands"):
                formatter.write_dl(lines)

    def main(self, *arguments: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run, and end the process with a code of `errors.NAMES`; `standalone_mode=False` is click's own."""
        console = extra.setdefault("obj", Console())
        given = arguments[0] if arguments else extra.get("args")
        words = sys.argv[1:] if given is None else list(given)
        # Known before the words are read, so that what is wrong with them is told as data, too.
        if "--json" in words[: words.index("--") if "--" in words else None]:
            console.json = True
        run = partial(super().main, *arguments, standalone_mode=False, **extra)
        if not standalone_mode:
            return run()
        sys.exit(exit_code_of(run, console))

    def _module_of(self, row: CommandRow) -> str:
        return f"{self.package}.{row.home.partition(':')[0]}"
