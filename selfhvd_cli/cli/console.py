"""The one way to the terminal: words for people on stderr, data on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from selfhvd_cli.errors import NAMES

if TYPE_CHECKING:
    import rich.console

ProgressStyle = Literal["auto", "rich", "plain", "json", "none"]


class Console:
    """Prints for one run; the output options (`-q`, `-v`, `--json`, `--progress`) are its state."""

    def __init__(self) -> None:
        self.verbosity = 0
        """-1 errors and warnings only, 0 normal, 1 details, 2 tracebacks too."""

        self.json = False
        """Whether the run's result goes to stdout as one JSON document."""

        self.progress: ProgressStyle = "auto"
        """How progress is drawn; `auto` is rich on a terminal that can redraw, and plain lines elsewhere."""

        self._answered = False

    @cached_property
    def terminal(self) -> rich.console.Console:
        """rich on stderr; it obeys NO_COLOR, FORCE_COLOR and TERM."""
        from rich.console import Console as Terminal

        # Names of files are printed: no :x: in them is an emoji.
        return Terminal(stderr=True, highlight=False, soft_wrap=True, emoji=False)

    @property
    def progress_style(self) -> ProgressStyle:
        if self.progress != "auto":
            return self.progress
        if self.verbosity < 0:
            return "none"
        # FORCE_COLOR makes a terminal of a log file, and what is dumb cannot go back to redraw a line.
        return "rich" if self.terminal.is_interactive and self.terminal.file.isatty() else "plain"

    def say(self, text: str, style: str = "") -> None:
        """A line that people want by default."""
        if self.verbosity >= 0:
            self._print(text, style)

    def detail(self, text: str) -> None:
        """A line for `-v`."""
        if self.verbosity >= 1:
            self._print(text, "dim")

    def warn(self, text: str) -> None:
        """A line that is shown even with `-q`, and does not end the run."""
        self._print(f"Warning: {text}", "yellow")

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Aligned columns without lines, so that they survive copying and pasting."""
        if self.verbosity < 0:
            return
        from rich.cells import cell_len

        cells = [[str(cell) for cell in row] for row in [headings, *rows]]
        widths = [max(cell_len(row[column]) for row in cells) for column in range(len(headings))]
        for number, row in enumerate(cells):
            padded = [cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)]
            self._print("  ".join(padded).rstrip(), "bold" if number == 0 else "")

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Show that something short is under way, where there is a terminal to show it on."""
        if self.progress_style != "rich":
            yield
            return
        from rich.text import Text

        with self.terminal.status(Text(text)):
            yield

    def data(self, value: object) -> None:
        """The run's result: one JSON document on stdout. Call it once, and only where `json` is set.

        It is ASCII, which every stdout takes, whatever its encoding and whatever bytes a file's name is made of.
        """
        self._answered = True
        click.echo(json.dumps(plain(value), indent=2))

    def fail(self, message: str, code: int) -> None:
        """Say why a run ends with `code`; with `--json` the reason is data too, unless data was already given."""
        if self.json and not self._answered:
            self.data({"error": {"code": code, "name": NAMES.get(code, "unknown"), "message": message}})
        line = f"Error ({code}, {NAMES.get(code, 'unknown')}): {message}"
        try:
            self._print(line, "bold red")
        except (MemoryError, SystemError, ImportError):  # so little memory that rich cannot be loaded
            click.echo(line, err=True)

    def _print(self, text: str, style: str) -> None:
        self.terminal.print(text, style=style or None, markup=False)
        if sys.stderr is not None:
            sys.stderr.flush()


def plain(value: Any) -> Any:
    """Dataclasses, paths and fractions as what JSON can hold; infinities and NaN become null."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Fraction):
        return float(value)
    if isinstance(value, float) and value - value != 0:
        return None
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return str(value)


pass_console = click.make_pass_decorator(Console, ensure=True)
"""Gives a command its `Console` as first argument."""
