"""Long runs that are cut off: what they keep, and that the same job goes on to the same output."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections import namedtuple
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
from safetensors.torch import load_file
from tiny_clips import make_clip, make_frames, use_sharpen

from selfhvd_cli.deblur_video import deblur_steps
from selfhvd_cli.deblurring import resume as resume_module
from selfhvd_cli.deblurring import settings
from selfhvd_cli.deblurring.job import DeblurJob
from selfhvd_cli.deblurring.kept import MANIFEST, Hold, folders_for, read_manifest
from selfhvd_cli.deblurring.report import DeblurReport, Progress
from selfhvd_cli.deblurring.setup import plan_deblur
from selfhvd_cli.deblurring.whereabouts import noted
from selfhvd_cli.errors import DiskFault, SelfHVDError, UsageFault
from selfhvd_cli.moments import as_moment
from selfhvd_cli.restore.engine import Engine
from selfhvd_cli.video.encoders import Encoding
from selfhvd_cli.video.segments import SegmentFile
from selfhvd_cli.weights.load import read_metadata
from selfhvd_cli.weights.save import save_state_dict

TICKS = tuple(20 * index + index * index % 7 for index in range(22))


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFHVD_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(settings, "SEGMENT", 8)


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeblurJob:
    weights = use_sharpen(monkeypatch, tmp_path)
    (tmp_path / "in").mkdir()
    source = make_clip(tmp_path / "in" / "clip.mp4", TICKS)
    encoding = Encoding(preset="ultrafast")
    return DeblurJob(
        source, source.with_name("out.mp4"), weights=str(weights), device="cpu", precision="fp32", encoding=encoding
    )


def run(job: DeblurJob) -> tuple[DeblurReport, list[Progress]]:
    steps = list(deblur_steps(job))
    assert steps[-1].report is not None
    return steps[-1].report, steps


def cut_off(job: DeblurJob, segments: int = 2) -> Path:
    """Begin a job and close it when it keeps so much; the folder it leaves."""
    with closing(deblur_steps(job)) as steps:
        for step in steps:
            if step.kept is not None and step.kept.frames >= 8 * segments:
                break
    assert not job.target.exists()
    assert not job.target.with_name(job.target.name + ".part").exists()
    (folder,) = [each for each in folders_for(job.target) if each.is_dir()]
    return folder


def said(steps: list[Progress]) -> str:
    return "\n".join(message for step in steps for message in step.messages)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def straight_through(job: DeblurJob) -> tuple[DeblurReport, bytes]:
    elsewhere = replace(job, target=job.target.with_name("straight.mp4"))
    report, _ = run(elsewhere)
    contents = elsewhere.target.read_bytes()
    elsewhere.target.unlink()
    return report, contents


@pytest.mark.parametrize("segments", [1, 2])
def test_the_same_job_goes_on_to_the_same_file(job: DeblurJob, segments: int) -> None:
    expected, contents = straight_through(job)
    folder = cut_off(job, segments)
    report, steps = run(job)
    assert job.target.read_bytes() == contents
    assert report.frames_resumed >= 8 * segments
    assert f"going on after the {report.frames_resumed} frames kept" in said(steps)
    figures = ("frames", "frames_changed", "strength", "held_back", "sharpness_before", "sharpness_after", "reasons")
    for name in figures:
        assert getattr(report, name) == getattr(expected, name), name
    assert report.receipt == expected.receipt
    assert not folder.exists()
    assert names(job.target.parent) == ["clip.mp4", "out.mp4"]
    assert list(noted()) == []


def test_a_clip_whose_name_is_no_text_is_gone_on_with_as_well(job: DeblurJob) -> None:
    odd = job.source.with_name("clip\udcff.mp4")
    job.source.rename(odd)
    job = replace(job, source=odd, target=job.target.with_name("out\udcff.mp4"))
    cut_off(job)
    report, _ = run(job)
    assert report.frames_resumed == 16


def test_kept_frames_are_not_restored_again(job: DeblurJob, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_off(job)
    restored = 0
    real = Engine.restore

    def count(self: Engine, frames: list, keep: slice) -> object:
        nonlocal restored
        restored += keep.stop - keep.start
        return real(self, frames, keep)

    monkeypatch.setattr(Engine, "restore", count)
    report, _ = run(job)
    assert report.frames_resumed == 16
    assert restored <= 12, "the three windows of four that reach beyond them, of ten"


def test_the_embedded_network_and_scene_cuts(tmp_path: Path) -> None:
    # x264 itself gives other bytes each time for some pictures of 80x64, hence the size.
    one, other = make_frames(tmp_path / "one", 9, 128, 96), make_frames(tmp_path / "two", 13, 128, 96)
    source = tmp_path / "frames"
    source.mkdir()
    for number, path in enumerate([*sorted(one.iterdir()), *sorted(other.iterdir())]):
        shutil.copy(path, source / f"{number:03d}.png")
        if number >= 9:  # another scene: upside down and negative
            cv2.imwrite(str(source / f"{number:03d}.png"), 255 - cv2.imread(str(path))[::-1, ::-1])
    job = DeblurJob(source, tmp_path / "out.mp4", device="cpu", precision="fp32", window=5)
    _, contents = straight_through(job)
    cut_off(job, 1)
    report, _ = run(job)
    assert report.frames_resumed in (8, 16)
    assert job.target.read_bytes() == contents


def test_a_folder_of_frames_goes_on(job: DeblurJob, tmp_path: Path) -> None:
    source = make_frames(tmp_path / "frames", 20)
    job = replace(job, source=source, target=tmp_path / "result")
    run(replace(job, target=tmp_path / "straight"))
    cut_off(job, 1)
    report, _ = run(job)
    assert report.frames_resumed >= 8
    assert names(tmp_path / "result") == names(tmp_path / "straight")
    for name in names(tmp_path / "straight"):
        assert (tmp_path / "result" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()


def test_a_short_clip_leaves_nothing(job: DeblurJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "SEGMENT", 22)
    with closing(deblur_steps(job)) as steps:
        for step in steps:
            if step.done >= 15:
                assert names(job.target.parent) == ["clip.mp4", "out.mp4.part"]
                break
    assert names(job.target.parent) == ["clip.mp4"]
    assert not any(noted())


def test_before_the_first_segment_is_done_nothing_is_left(job: DeblurJob) -> None:
    with closing(deblur_steps(job)) as steps:
        next(step for step in steps if step.phase == "deblur")
    assert names(job.target.parent) == ["clip.mp4"]
    assert not any(noted())


def test_nothing_is_kept_where_that_is_not_wanted(job: DeblurJob) -> None:
    with closing(deblur_steps(replace(job, resume=False))) as steps:
        for step in steps:
            assert step.kept is None
            if step.phase == "deblur" and step.done < 22:
                assert names(job.target.parent) == ["clip.mp4", "out.mp4.part"]
    assert names(job.target.parent) == ["clip.mp4", "out.mp4"]


@pytest.mark.parametrize("harm", ["flipped", "short", "gone"])
def test_damaged_segments_are_made_again(job: DeblurJob, harm: str) -> None:
    _, contents = straight_through(job)
    folder = cut_off(job)
    victim = folder / "00001.segment"
    data = bytearray(victim.read_bytes())
    if harm == "gone":
        victim.unlink()
    else:
        data[len(data) // 2] ^= 1
        victim.write_bytes(data[:-9] if harm == "short" else data)
    report, steps = run(job)
    assert report.frames_resumed == 8
    assert "8 of the 16 frames kept are damaged" in said(steps)
    assert job.target.read_bytes() == contents


@pytest.mark.parametrize("words", ["", "{", "[]", '{"format": 1}', '{"format": 99}', "null"])
def test_a_damaged_manifest_means_a_new_beginning(job: DeblurJob, words: str) -> None:
    _, contents = straight_through(job)
    folder = cut_off(job)
    (folder / MANIFEST).write_text(words)
    report, _ = run(job)
    assert report.frames_resumed == 0
    assert job.target.read_bytes() == contents
    assert names(job.target.parent) == ["clip.mp4", "out.mp4"]


def test_names_in_a_manifest_cannot_leave_the_folder(job: DeblurJob, tmp_path: Path) -> None:
    folder = cut_off(job)
    values = json.loads((folder / MANIFEST).read_text())
    shutil.copy(folder / "00000.segment", tmp_path / "00000.segment")
    values["segments"][0]["file"] = "../../00000.segment"
    (folder / MANIFEST).write_text(json.dumps(values))
    assert read_manifest(folder) is None
    report, _ = run(job)
    assert report.frames_resumed == 0
    assert (tmp_path / "00000.segment").exists()


BEGIN = b"selfhvd segment 1\n"
END = (-1).to_bytes(8, "little", signed=True) + bytes(33)
TWO = (2).to_bytes(8, "little")


@pytest.mark.parametrize(
    "forged",
    [
        b"",
        BEGIN,
        BEGIN + b"\xff" * 41,
        BEGIN + (2**60).to_bytes(8, "little") + bytes(33),
        BEGIN + END + b"[]" + TWO,
        BEGIN + END + b"{}" + TWO,
    ],
)
def test_forged_segments_are_refused_in_words(job: DeblurJob, forged: bytes) -> None:
    folder = cut_off(job)
    (folder / "00000.segment").write_bytes(forged)
    values = json.loads((folder / MANIFEST).read_text())
    values["segments"][0].update(bytes=len(forged), sha256=hashlib.sha256(forged).hexdigest())
    (folder / MANIFEST).write_text(json.dumps(values))
    with pytest.raises(SelfHVDError, match="remove it with selfhvd jobs clean OUTPUT"):
        run(job)
    assert not job.target.exists()


@pytest.mark.parametrize("plan", [{}, {"window": 0}, {"window": "x"}, {"window": 10**9}, {"tile": -1, "window": 4}])
def test_a_forged_plan_does_no_harm(job: DeblurJob, plan: dict[str, object]) -> None:
    folder = cut_off(job)
    values = json.loads((folder / MANIFEST).read_text())
    values["plan"] = plan
    (folder / MANIFEST).write_text(json.dumps(values))
    assert run(job)[0].frames == 22


def test_another_input_of_that_name_is_noticed(job: DeblurJob) -> None:
    cut_off(job)
    make_clip(job.source, TICKS[:-1])
    report, steps = run(job)
    assert report.frames_resumed == 0
    assert "clip.mp4 has changed since" in said(steps)
    assert report.frames == 21


def test_other_settings_are_another_job_and_the_first_is_named(job: DeblurJob) -> None:
    _, contents = straight_through(job)
    folder = cut_off(job)
    milder = replace(job, strength=0.5)
    report, steps = run(milder)
    assert report.frames_resumed == 0
    assert f"{folder.name} keeps 16 frames" in said(steps)
    assert "strength 1.0 instead of 0.5" in said(steps)
    job.target.unlink()
    report, _ = run(job)
    assert report.frames_resumed == 16
    assert job.target.read_bytes() == contents


@pytest.mark.parametrize("what", ["start", "duration", "precision", "weights", "seed", "crf", "window"])
def test_frames_of_other_settings_are_not_taken(job: DeblurJob, what: str) -> None:
    others: dict[str, dict[str, object]] = {
        "start": {"start": as_moment("2f")},
        "duration": {"duration": as_moment("20f")},
        "precision": {"precision": "bf16"},
        "weights": {"weights": str(altered(Path(job.weights or "")))},
        "seed": {"seed": 1},
        "crf": {"encoding": replace(job.encoding, crf=30)},
        "window": {"window": 3},
    }
    changed = replace(job, **others[what])  # type: ignore[arg-type]
    _, contents = straight_through(changed)
    cut_off(job)
    report, _ = run(changed)
    assert report.frames_resumed == 0
    assert changed.target.read_bytes() == contents


def test_nor_those_of_a_start_that_differs_in_a_late_digit(job: DeblurJob) -> None:
    cut_off(replace(job, start=as_moment(f"{21 / 600}")))
    later = replace(job, start=as_moment(f"{21 / 600}00004"))
    _, contents = straight_through(later)
    report, _ = run(later)
    assert report.frames_resumed == 0
    assert later.target.read_bytes() == contents


def altered(weights: Path) -> Path:
    """Weights of the same network that restore otherwise."""
    other = weights.with_name("other.safetensors")
    values = {name: value * 1.5 + 0.01 for name, value in load_file(weights).items()}
    save_state_dict(other, values, read_metadata(weights))
    return other


def test_another_place_and_memory_change_nothing(job: DeblurJob, tmp_path: Path) -> None:
    _, contents = straight_through(job)
    cut_off(job)
    moved = tmp_path / "moved"
    shutil.move(job.source.parent, moved)
    there = replace(job, source=moved / "clip.mp4", target=moved / "out.mp4", overwrite=True)
    report, _ = run(there)
    assert report.frames_resumed == 16
    assert there.target.read_bytes() == contents


def test_a_run_that_works_on_it_is_not_disturbed(job: DeblurJob) -> None:
    folder = cut_off(job)
    hold = Hold(folder)
    assert hold.take()
    with pytest.raises(UsageFault, match="another selfhvd is at work on it"):
        run(job)
    hold.let_go()
    assert run(job)[0].frames_resumed == 16


def test_two_runs_that_begin_at_once_do_not_mix(job: DeblurJob) -> None:
    _, contents = straight_through(job)
    with closing(deblur_steps(job)) as first:
        next(step for step in first if step.kept is not None)
        with pytest.raises(UsageFault, match="another selfhvd is writing it"):
            run(job)
        for _ in first:
            pass
    assert job.target.read_bytes() == contents


def test_a_disk_without_room_for_segments_still_takes_the_output(
    job: DeblurJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = SegmentFile.add
    added = 0

    def full(self: SegmentFile, piece: object) -> None:
        nonlocal added
        added += 1
        if added > 12:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(self, piece)  # type: ignore[arg-type]

    monkeypatch.setattr(SegmentFile, "add", full)
    report, steps = run(job)
    assert "segments are kept no further (No space left on device)" in said(steps)
    assert report.frames == 22
    assert names(job.target.parent) == ["clip.mp4", "out.mp4"]


def test_the_output_comes_before_what_is_kept(job: DeblurJob, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    (kept,) = cut_off(job, 1).glob("*0.segment")
    rest = 1.25 * kept.stat().st_size / 8 * 22
    monkeypatch.setattr(resume_module.shutil, "disk_usage", lambda path: usage(rest))
    report, steps = run(job)
    assert "made room for the output" in said(steps)
    assert report.frames == 22
    assert names(job.target.parent) == ["clip.mp4", "out.mp4"]


def test_when_the_output_fails_what_is_kept_stays(job: DeblurJob, monkeypatch: pytest.MonkeyPatch) -> None:
    _, contents = straight_through(job)
    from selfhvd_cli.video import writer

    def full(*given: object) -> None:
        raise OSError(errno.ENOSPC, "no room")

    with monkeypatch.context() as patch:
        patch.setattr(writer, "verify", full)
        with pytest.raises(DiskFault):
            run(job)
    report, _ = run(job)
    assert report.frames_resumed == 16
    assert job.target.read_bytes() == contents


def test_a_dry_run_tells_of_it_and_touches_nothing(job: DeblurJob) -> None:
    before = plan_deblur(job)
    folder = cut_off(job)
    there = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    plan = plan_deblur(job)
    assert "it would go on after the 16 frames kept of an interrupted run" in plan.notes
    assert not before.notes
    assert there == {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
