"""Progress in each of its styles."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from selfhvd_cli.cli import progress
from selfhvd_cli.cli.console import Console
from selfhvd_cli.cli.progress import State, clock, length, progress_display, size

STATES = [
    State("deblur", 0, 100),
    *(State("deblur", n, 100, rate=4.0, seconds_left=(100 - n) / 4) for n in range(1, 101)),
]


def shown(style: str, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    console = Console()
    console.progress = style  # type: ignore[assignment]
    with progress_display(console, "clip.mp4") as display:
        for state in STATES:
            display.show(state)
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_plain_lines_are_few_and_name_beginning_and_end(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = shown("plain", capsys)
    lines = err.splitlines()
    assert out == ""
    assert len(lines) == 2
    assert "measuring" in lines[0]
    assert "100/100 frames, 4 frames/s" in lines[-1]


def test_plain_lines_come_again_after_a_while(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PLAIN_INTERVAL", 0.0)
    assert len(shown("plain", capsys)[1].splitlines()) == len(STATES)


def test_json_lines_are_all_there_and_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = shown("json", capsys)
    lines = [json.loads(line) for line in err.splitlines()]
    assert out == ""
    assert len(lines) == len(STATES)
    assert lines[60] == {
        "title": "clip.mp4", "phase": "deblur", "done": 60, "total": 100, "rate": 4.0, "seconds_left": 10.0,
        "unit": "frames", "note": "",
    }  # fmt: skip


def test_none_and_quiet_are_silent(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown("none", capsys) == ("", "")
    quiet = Console()
    quiet.verbosity = -1
    assert quiet.progress_style == "none"


def test_the_live_bar_is_gone_afterwards(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    out, err = shown("rich", capsys)
    assert out == ""
    assert err.endswith(("\x1b[2K", "\x1b[?25h")) or "\x1b[2K" in err


@pytest.mark.parametrize(
    ("is_terminal", "kind", "coloured", "style"),
    [
        (True, "xterm", False, "rich"),
        (True, "dumb", False, "plain"),
        (False, "xterm", False, "plain"),
        (False, "xterm", True, "plain"),
    ],
)
def test_what_cannot_redraw_a_line_gets_plain_ones_by_itself(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool, kind: str, coloured: bool, style: str
) -> None:
    monkeypatch.setenv("TERM", kind)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    if coloured:
        monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    assert Console().progress_style == style


@pytest.mark.skipif(os.name == "nt", reason="a shell of another kind")
def test_json_lines_pass_through_every_stderr_and_a_closed_one() -> None:
    title = "é\u2192\U0001f600\udcff.mov"
    script = f"""
from selfhvd_cli.cli.console import Console
from selfhvd_cli.cli.progress import State, progress_display
console = Console()
console.progress = "json"
with progress_display(console, {title!a}) as display:
    display.show(State("deblur", 1))
"""
    words, environment = [sys.executable, "-c", script], {**os.environ, "PYTHONIOENCODING": "latin-1"}
    run = subprocess.run(words, capture_output=True, env=environment, check=False)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stderr)["title"] == title
    assert subprocess.run(["sh", "-c", 'exec "$@" 2>&-', "sh", *words], check=False).returncode == 0


def test_times_and_sizes_as_people_read_them() -> None:
    assert (length(4.21), length(47.2), length(200), length(3800)) == ("4.2 s", "47 s", "3:20", "1:03:20")
    assert (size(812), size(4_130_000), size(2.5e12)) == ("812 B", "4.1 MB", "2500.0 GB")
    assert clock(None) == "measuring"
    assert clock(200).startswith("3:20 left, done at ")
    assert State("adapt", 3, None, unit="steps", note="loss 0.1").__str__() == "3 steps, measuring, loss 0.1"
