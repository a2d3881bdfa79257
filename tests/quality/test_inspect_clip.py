"""inspect: finds the blurred stretches, and says truly whether there is something to do."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import torch
from made_clips import shaken, texture, write_folder, write_video

from selfhvd_cli.errors import InputFault, UsageFault
from selfhvd_cli.inspect_clip import InspectProgress, inspect


def test_an_uneven_clip_is_mapped(tmp_path: Path) -> None:
    blurs = [0, 0, 0, 0, 0, 2, 2, 2, 2, 0, 0, 0, 2, 2, 0, 0]
    clip = write_video(tmp_path / "clip.mp4", shaken(blurs))
    reports: list[InspectProgress] = []
    found = inspect(clip, estimate=False, on_progress=reports.append)
    assert found.verdict == "uneven"
    assert found.deblur_helps
    assert found.adapt_helps
    assert [frame.sharp for frame in found.frames] == [blur == 0 for blur in blurs]
    assert [(one.start, one.end, one.frames) for one in found.stretches] == [
        (Fraction(5, 10), Fraction(9, 10), 4),
        (Fraction(12, 10), Fraction(14, 10), 2),
    ]
    assert all(one.level < 0.5 for one in found.stretches)
    assert found.blurred_seconds == pytest.approx(0.6)
    assert found.seconds == pytest.approx(1.6)
    assert any("--adapt" in command for command in found.commands)
    assert [report.done for report in reports] == [*range(1, 17), 16]


def test_what_deblurring_would_cost_here_is_estimated_where_it_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from selfhvd_cli.deblurring import setup

    monkeypatch.setattr(setup, "seconds_a_frame", lambda *_: 2.0)
    monkeypatch.setattr(setup, "load_restorer", lambda model, *_: setup.fresh_restorer(model, torch.device("cpu")))
    clip = write_folder(tmp_path / "clip", shaken([0, 0, 0, 2, 2, 2, 0, 0]))
    found = inspect(clip)
    assert found.deblur_device.startswith(("cpu", "cuda", "mps"))
    assert found.deblur_seconds == 16.0
    assert found.deblur_memory is not None
    assert found.deblur_memory > 1_000_000
    assert inspect(clip, start="2f", duration="4f").deblur_seconds == 8.0
    assert inspect(clip, estimate=False).deblur_seconds is None
    sharp = inspect(write_folder(tmp_path / "sharp", shaken([0, 0, 0])))
    assert sharp.deblur_device == "", "nothing is tried where deblurring would not help"


def test_a_clip_named_like_an_option_is_no_option_in_what_is_advised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(Path("-h.mp4"), shaken([0, 0, 0, 2, 2, 2, 0, 0]))
    found = inspect(Path("-h.mp4"), estimate=False)
    assert found.commands
    assert all("./-h.mp4" in command for command in found.commands)


def test_stretches_a_moment_apart_are_one(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", shaken([0, 0, 2, 2, 0, 2, 2, 0, 0, 0], 64, 48), rate=30)
    (only,) = inspect(clip, estimate=False).stretches
    assert (only.start, only.end, only.frames) == (Fraction(2, 30), Fraction(7, 30), 4)


def test_few_sharp_frames_are_not_enough_to_adapt(tmp_path: Path) -> None:
    found = inspect(write_folder(tmp_path / "clip", shaken([2, 2, 2, 0, 2, 2, 2, 2])), estimate=False)
    assert found.deblur_helps
    assert not found.adapt_helps
    assert "needs 5 sharp frames" in found.advice


@pytest.mark.parametrize(("blur", "verdict"), [(0, "sharp"), (4, "soft")])
def test_an_even_clip_is_left_alone(tmp_path: Path, blur: float, verdict: str) -> None:
    found = inspect(write_folder(tmp_path / "clip", [shaken([blur])[0]] * 12), estimate=False)
    assert found.verdict == verdict
    assert not found.adapt_helps
    assert found.stretches == ()
    assert found.blurred_seconds == 0


def test_a_black_clip_holds_nothing(tmp_path: Path) -> None:
    found = inspect(write_folder(tmp_path / "clip", [texture() * 0] * 3))
    assert found.verdict == "flat"
    assert found.commands == ()


def test_one_frame_is_enough_to_look_at(tmp_path: Path) -> None:
    found = inspect(write_folder(tmp_path / "clip", [texture()]))
    assert len(found.frames) == 1
    assert found.chosen_frames == 1
    assert found.verdict == "sharp"


def test_a_part_of_the_clip(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", shaken([2] * 5 + [0] * 10))
    assert len(inspect(clip, start="5f", estimate=False).frames) == 10
    assert len(inspect(clip, start=0.5, duration="3f", estimate=False).frames) == 3


def test_what_cannot_be_inspected_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputFault, match="no such file"):
        inspect(tmp_path / "missing.mp4")
    with pytest.raises(UsageFault, match="--segment 0"):
        inspect(write_folder(tmp_path / "clip", [texture()]), segment=0)
