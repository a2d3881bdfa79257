"""`deblur --dry-run`: plans what the run would do, refuses what it would refuse, and touches nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tiny_clips import make_clip, use_sharpen

from selfhvd_cli.cli import selfhvd


def deblur(*arguments: object) -> Result:
    return CliRunner().invoke(selfhvd, ["deblur", "--strength", "0", *map(str, arguments)])


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return make_clip(tmp_path / "in" / "clip.mp4")


def test_the_dry_run_plans_and_touches_nothing(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = use_sharpen(monkeypatch, tmp_path)
    before = sorted(tmp_path.rglob("*"))
    arguments = ["deblur", "-n", str(clip), "-o", f"{tmp_path}/new/", "--weights", str(weights), "--device", "cpu"]
    result = CliRunner().invoke(selfhvd, [*arguments, "--json"])
    assert result.exit_code == 0, result.stderr
    assert sorted(tmp_path.rglob("*")) == before
    plan = json.loads(result.stdout)["plans"][0]
    assert plan["frames"] == 8
    assert plan["seconds"] > 0
    assert plan["memory"] > 0
    words = CliRunner().invoke(selfhvd, arguments).stderr
    assert "8 frames of 80×64" in words
    assert "of memory" in words


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--start", "60"), 4, "no frame lies"),
        (("--duration", "0"), 4, "no frame lies"),
        (("-o", "gone/out.mp4"), 7, "does not exist"),
        (("-o", "clip.mp4/"), 7, "cannot be made"),
        (("-o", "out.xyz"), 2, ".mp4"),
        (("-c", "h264", "--crf", "60"), 2, "51"),
        (("-c", "h264", "-o", "out.webm"), 2, "cannot hold"),
    ],
)
def test_the_dry_run_refuses_what_the_run_would(
    clip: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], code: int, said: str
) -> None:
    monkeypatch.chdir(clip.parent)
    for dry in ((), ("--dry-run",)):
        result = deblur("clip.mp4", *options, *dry, "--progress", "none")
        assert result.exit_code == code, result.stderr
        assert said in result.stderr
        assert [path.name for path in clip.parent.iterdir()] == ["clip.mp4"]


def test_the_dry_run_of_several_clips_plans_the_others_as_the_run_would_do_them(clip: Path) -> None:
    broken = clip.with_name("broken.mp4")
    broken.write_bytes(b"nothing")
    result = deblur(broken, clip, "--dry-run", "--json")
    assert result.exit_code == 8, result.stderr
    told = json.loads(result.stdout)
    assert [plan["source"] for plan in told["plans"]] == [str(clip)]
    assert [(each["source"], each["code"]) for each in told["failed"]] == [(str(broken), 4)]
