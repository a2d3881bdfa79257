"""What every command takes as a value, and what it says of one that can only be a mistake."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tiny_clips import make_clip

from selfhvd_cli.cli import selfhvd
from selfhvd_cli.cli.parameters import width_height


def run(*words: object) -> Result:
    return CliRunner().invoke(selfhvd, list(map(str, words)))


@pytest.fixture
def forbid(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Makes a path one that may not be read, in the eyes of who asks first; the superuser could read it."""
    asked = os.access
    forbidden: set[str] = set()

    def access(path: str | Path, mode: int) -> bool:
        return not (str(path) in forbidden and mode & os.R_OK) and asked(path, mode)

    monkeypatch.setattr(os, "access", access)
    return lambda path: forbidden.add(str(path))


@pytest.mark.parametrize(
    "words",
    [
        ("deblur", ""),
        ("deblur", "clip.mp4", "-o", ""),
        ("deblur", "clip.mp4", "--report", ""),
        ("score", ""),
        ("adapt", ""),
        ("still", ""),
        ("pretrain", "", "-o", "w.safetensors"),
        ("weights", "path", ""),
        ("jobs", "clean", ""),
    ],
)
def test_an_empty_word_is_refused_and_not_taken_for_the_current_folder(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "clip.mp4", times=(0, 20), sound=False)
    result = run(*words)
    assert result.exit_code == 2, result.stderr
    assert "empty" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize("command", ["inspect", "still", "synth", "pretrain"])
def test_an_input_that_may_not_be_read_is_no_mistake_of_usage(
    command: str, tmp_path: Path, forbid: Callable[[Path], None]
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", times=(0, 20), sound=False)
    for place in (clip, tmp_path):
        forbid(place)
        result = run(command, place, *(("-o", tmp_path / "out") if command != "inspect" else ()))
        assert result.exit_code == 4, result.stderr
        assert "no permission" in result.stderr


def test_of_several_clips_one_that_may_not_be_read_does_not_keep_the_others_from_it(
    tmp_path: Path, forbid: Callable[[Path], None]
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", times=(0, 20), sound=False)
    locked = Path(shutil.copy(clip, tmp_path / "locked.mp4"))
    locked.chmod(0)
    forbid(locked)
    result = run("deblur", "--strength", "0", locked, clip)
    assert (tmp_path / "clip_deblurred.mp4").exists(), result.stderr
    if os.name != "nt" and os.geteuid() != 0:
        assert result.exit_code == 8
        assert "input unreadable (4)" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("still", "clip.mp4", "--apart", "nan"), "finite"),
        (("deblur", "clip.mp4", "--strength", "nan"), "finite"),
        (("synth", "photos", "-o", "out", "--severity", "inf"), "finite"),
        (("deblur", "clip.mp4", "--seed", "99999999999999999999"), "too large"),
        (("deblur", "clip.mp4", "--start", "99999999999999999999f"), "no clip is that long"),
        (("deblur", "clip.mp4", "--duration", "9" * 5000), "is no time"),
        (("deblur", "clip.mp4", "--tile", "9" * 5000), "neither auto nor"),
        (("deblur", "clip.mp4", "--max-memory", "9" * 400), "is no size"),
        (("jobs", "clean", "--older", "9" * 400), "is no age"),
        (("bench", "--size", "\u00b2x64"), "WIDTHxHEIGHT"),
        (("bench", "--size", "0x64"), "WIDTHxHEIGHT"),
    ],
)
def test_numbers_that_nothing_can_reckon_with_are_refused(words: tuple[str, ...], said: str) -> None:
    result = run(*words)
    assert result.exit_code == 2, result.stderr
    assert said in result.stderr


def test_a_size_may_be_written_as_the_help_does() -> None:
    assert width_height("1280\u00d7720") == width_height("1280X720") == (1280, 720)
