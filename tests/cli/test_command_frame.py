"""The frame around every command: help without heavy imports, suggestions, exit codes, no tracebacks unasked."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from selfhvd_cli import __version__
from selfhvd_cli.cli import COMMANDS, selfhvd
from selfhvd_cli.cli.console import Console
from selfhvd_cli.cli.group import CommandRow, LazyGroup
from selfhvd_cli.cli.options import CODECS, FFMPEG_HABITS, MODELS, json_option, verbose_option
from selfhvd_cli.errors import DiskFault, MemoryFault, SelfHVDError, WeightsFault

HEAVY = ("torch", "av", "cv2", "pyiqa", "numpy", "rich", "matplotlib", "huggingface_hub")


def imported_by(*arguments: str) -> set[str]:
    """Heavy packages that a run of the command line imports."""
    script = f"""
import sys
from selfhvd_cli.cli import selfhvd
try:
    selfhvd({list(arguments)!r}, prog_name="selfhvd")
except SystemExit as end:
    assert end.code == 0, end.code
print(*[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    return set(run.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("deblur", "--help"), ("doctor", "-h")])
def test_help_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    assert imported_by(*arguments) == set()


def test_jobs_are_listed_without_what_computes() -> None:
    assert imported_by("jobs", "list", str(Path(__file__).parent)) <= {"rich"}


def test_version() -> None:
    result = CliRunner().invoke(selfhvd, ["-V"])
    assert (result.exit_code, result.output) == (0, f"selfhvd {__version__}\n")


def test_every_listed_command_can_be_asked_for_help() -> None:
    runner = CliRunner()
    listed = selfhvd.list_commands(click.Context(selfhvd))
    assert {"deblur", "doctor"} <= set(listed) <= set(COMMANDS)
    overview = runner.invoke(selfhvd, ["--help"]).output
    for name in listed:
        assert COMMANDS[name].summary in " ".join(overview.split())
        assert runner.invoke(selfhvd, [name, "--help"]).exit_code == 0, name


def test_commands_without_a_file_are_not_listed() -> None:
    rows = {"doctor": CommandRow("doctor:doctor", "Here."), "magic": CommandRow("magic:magic", "Not written yet.")}
    group = LazyGroup("group", rows=rows, package="selfhvd_cli.cli")
    result = CliRunner().invoke(group, ["--help"])
    assert "doctor" in result.output
    assert "magic" not in result.output
    assert CliRunner().invoke(group, ["magic"]).exit_code == 2


def test_a_mistyped_command_is_usage_and_gets_a_suggestion() -> None:
    result = CliRunner().invoke(selfhvd, ["debulr", "clip.mp4"])
    assert result.exit_code == 2
    assert 'did you mean "deblur"?' in result.stderr


def test_a_mistyped_option_is_usage_and_gets_a_suggestion() -> None:
    result = CliRunner().invoke(selfhvd, ["deblur", "clip.mp4", "--strenght", "1"])
    assert result.exit_code == 2
    assert "--strength" in result.stderr


def test_option_tables_agree_with_the_layers_they_mirror() -> None:
    from selfhvd_cli.restore.architectures import ARCHITECTURES
    from selfhvd_cli.video.encoders import CHOICES

    assert tuple(ARCHITECTURES) == MODELS
    assert CHOICES == CODECS


def run_raising(fault: BaseException | Callable[[], None], *arguments: str) -> click.testing.Result:
    """A command that raises, run inside the group as any other."""

    @click.command("go")
    @json_option
    @verbose_option
    def go() -> None:
        if isinstance(fault, BaseException):
            raise fault
        fault()

    group = LazyGroup("group", rows={}, package="selfhvd_cli.cli")
    group.get_command = lambda context, name: go  # type: ignore[method-assign]
    group.list_commands = lambda context: ["go"]  # type: ignore[method-assign]
    return CliRunner().invoke(group, ["go", *arguments])


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (SelfHVDError("a"), 1),
        (WeightsFault("a"), 5),
        (MemoryFault("a"), 6),
        (DiskFault("a"), 7),
        (MemoryError(), 6),
        (OSError(28, "No space left on device", "x.mp4"), 7),
        (PermissionError(13, "Permission denied", "x.mp4"), 7),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError("division by zero"), 1),
        (click.UsageError("a"), 2),
    ],
)
def test_exit_codes(fault: BaseException, code: int) -> None:
    result = run_raising(fault)
    assert result.exit_code == code
    assert f"Error ({code}, " in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_out_of_memory_of_torch_is_known_without_importing_it_first() -> None:
    kind = type("OutOfMemoryError", (RuntimeError,), {})
    assert run_raising(kind("CUDA out of memory")).exit_code == 6


def test_a_defect_asks_for_a_report_and_shows_its_trace_only_with_vv() -> None:
    quiet, loud = run_raising(ZeroDivisionError("by zero")), run_raising(ZeroDivisionError("by zero"), "-vv")
    assert "selfhvd doctor" in quiet.stderr
    assert "Traceback" not in quiet.stderr
    assert "Traceback" in loud.stderr
    assert loud.exit_code == 1


def test_with_json_the_fault_is_data_on_stdout() -> None:
    result = run_raising(WeightsFault("no such weights"), "--json")
    assert json.loads(result.stdout) == {"error": {"code": 5, "name": "weights", "message": "no such weights"}}
    assert result.exit_code == 5


@pytest.mark.parametrize("words", [("deblur", "--bogus"), ("bogus",), ("deblur", "a.mp4", "--tile", "x")])
def test_with_json_what_is_wrong_with_the_words_is_data_too(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(selfhvd, [*words, "--json"])
    assert json.loads(result.stdout)["error"]["code"] == 2
    assert CliRunner().invoke(selfhvd, [*words, "--", "--json"]).stdout == ""


def test_with_json_a_broken_config_file_is_data_too(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("x = [")
    environment = {"SELFHVD_CONFIG": str(tmp_path / "config.toml")}
    result = CliRunner().invoke(selfhvd, ["deblur", "a.mp4", "--json"], env=environment)
    assert "config.toml" in json.loads(result.stdout)["error"]["message"]


@pytest.mark.parametrize("words", [(), ("weights",), ("jobs",)])
def test_a_group_alone_shows_its_help_and_no_error(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(selfhvd, words)
    assert result.exit_code == 2
    assert result.stderr == CliRunner().invoke(selfhvd, [*words, "--help"]).stdout


@pytest.mark.skipif(os.name == "nt", reason="a shell of another kind")
@pytest.mark.parametrize(("closed", "words", "code"), [(">&-", "completion bash", 0), ("2>&-", "completion x", 2)])
def test_what_is_closed_is_not_written_to(closed: str, words: str, code: int) -> None:
    command = f'"{sys.executable}" -m selfhvd_cli {words} {closed}'
    run = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert run.returncode == code
    assert "Error" not in run.stderr


@pytest.mark.skipif(os.name == "nt", reason="a shell of another kind")
def test_no_file_takes_the_place_of_what_is_closed() -> None:
    words = (
        "import os; from selfhvd_cli import __main__; __main__.take_closed_places(); os.fstat(0); os.close(os.dup(2))"
    )
    run = subprocess.run(["sh", "-c", f"'{sys.executable}' -c '{words}' <&- 2>&-"], check=False)
    assert run.returncode == 0


@pytest.mark.skipif(os.name == "nt", reason="folders that are in use stay there")
def test_a_folder_that_was_removed_beneath_the_shell_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    for words in (("deblur", "clip.mp4"), ("inspect", str(tmp_path / "clip.mp4")), ("jobs", "clean", "x.mp4")):
        result = CliRunner().invoke(selfhvd, words)
        assert result.exit_code == 2
        assert "has been removed; cd to one that exists" in result.stderr
    assert CliRunner().invoke(selfhvd, ["deblur", "--help"]).exit_code == 0


def test_ctx_exit_keeps_its_code() -> None:
    assert run_raising(lambda: click.get_current_context().exit(3)).exit_code == 3


def test_logs_and_warnings_are_details() -> None:
    def remark() -> None:
        logging.getLogger("selfhvd_cli.video.reader").info("a damaged packet")
        warnings.warn("deprecated somewhere", UserWarning, stacklevel=1)

    assert run_raising(remark).stderr == ""
    detailed = run_raising(remark, "-v").stderr
    assert "a damaged packet" in detailed
    assert "UserWarning: deprecated somewhere" in detailed


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="signals of another kind")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_request_to_end_cleans_up_like_ctrl_c(name: str) -> None:
    before = signal.getsignal(getattr(signal, name))
    cleaned = []

    def work() -> None:
        try:
            os.kill(os.getpid(), getattr(signal, name))
            time.sleep(10)
        finally:
            cleaned.append(True)

    assert run_raising(work).exit_code == 130
    assert cleaned == [True]
    assert signal.getsignal(getattr(signal, name)) is before


def test_no_color_is_obeyed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    Console().warn("plain")
    assert "\x1b[" in capsys.readouterr().err
    monkeypatch.setenv("NO_COLOR", "1")
    Console().warn("plain")
    assert "\x1b[3" not in capsys.readouterr().err


def test_habits_name_options_that_exist() -> None:
    command = selfhvd.get_command(click.Context(selfhvd), "deblur")
    assert command is not None
    known = {name for parameter in command.params for name in parameter.opts}
    assert set(FFMPEG_HABITS.values()) <= known
