"""The examples run as their first lines say, and do what they say."""

from __future__ import annotations

import ast
import runpy
import sys
from pathlib import Path

import pytest
from tiny_clips import make_clip

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name: str, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [name, str(clip)])
    monkeypatch.setenv("SELFHVD_OFFLINE", "1")
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4", times=(0, 17, 43, 60, 85))


def test_deblur_with_report(clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run("deblur_with_report.py", clip, monkeypatch)
    assert clip.with_name("clip_deblurred.mp4").exists()
    assert "before and after" in clip.with_suffix(".html").read_text(encoding="utf-8")
    assert "of 5 frames changed" in capsys.readouterr().out


def test_sharpest_stills(clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run("sharpest_stills.py", clip, monkeypatch)
    assert 1 <= len(list(clip.parent.glob("*.jpg"))) <= 2
    assert "sharpness" in capsys.readouterr().out


def test_compare_strengths(clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run("compare_strengths.py", clip, monkeypatch)
    assert sorted(path.name for path in clip.parent.iterdir()) == ["clip.mp4", "clip_0.5.mp4", "clip_1.0.mp4"]
    assert capsys.readouterr().out.count("sharpness") == 2


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_examples_say_what_they_are(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
