"""What is printed is what was said, whatever stands in the names of files and whatever stdout takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from rich.cells import cell_len
from rich.console import Console as Terminal

from selfhvd_cli.cli.console import Console


def test_names_of_files_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.say("a:x:.mov [bold]b[/bold].mov: done")
    console.table(("clip",), [("c:heart:.mov",)])
    said = capsys.readouterr().err
    assert "a:x:.mov [bold]b[/bold].mov: done" in said
    assert "c:heart:.mov" in said


def test_columns_are_aligned_whatever_the_width_of_the_letters(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("clip.mp4", "動画😀.mp4", "a\u0308.mp4")
    Console().table(("clip", "frames"), [(name, 7) for name in names])
    lines = capsys.readouterr().err.splitlines()
    assert {cell_len(line.rpartition("  ")[0]) for line in lines[1:]} == {cell_len("動画😀.mp4")}
    assert lines[2] == "動画😀.mp4  7"


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


@pytest.mark.parametrize("fault", [MemoryError(), SystemError("an exception set"), ImportError("cannot map")])
def test_an_error_is_said_where_memory_does_not_suffice_for_rich(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise fault

    console = Console()
    monkeypatch.setattr(Console, "_print", refuse)
    console.fail("out of memory; close other programs.", 6)
    assert capsys.readouterr().err == "Error (6, out of memory): out of memory; close other programs.\n"
