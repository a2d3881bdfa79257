"""What is printed is what was said, whatever stands in the names of files and whatever stdout takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from rich.console import Console as Terminal

from selfhvd_cli.cli.console import Console


def test_names_of_files_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.say("a:x:.mov [bold]b[/bold].mov: done")
    console.table(("clip",), [("c:heart:.mov",)])
    said = capsys.readouterr().err
    assert "a:x:.mov [bold]b[/bold].mov: done" in said
    assert "c:heart:.mov" in said


def test_and_while_something_is_waited_for() -> None:
    console = Console()
    console.progress = "rich"
    console.terminal = Terminal(file=sys.stderr, force_terminal=True, emoji=False)
    with console.terminal.capture() as captured, console.waiting("a:x:[b].mov: looking"):
        pass
    assert "a:x:[b].mov: looking" in captured.get()


@pytest.mark.parametrize("name", ["\u2192\U0001f600.mov", "\udcff.mov"])
def test_data_passes_through_every_stdout(name: str) -> None:
    script = f"from selfhvd_cli.cli.console import Console; Console().data({{'name': {name!a}}})"
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment, check=False)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == {"name": name}
