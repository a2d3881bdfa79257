"""Times of pictures whose source's clock begins anew, as where recordings were joined byte for byte."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest
from video_clips import copy

from selfhvd_cli.video.clock import Clock
from selfhvd_cli.video.reader import open_reader

SECOND = 30


def ticks(*stated: int | None) -> list[int]:
    clock = Clock(Fraction(1, SECOND), Fraction(stated[0] or 0, SECOND), Fraction(1, SECOND))
    return [clock.tick(each) for each in stated]


def joined(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


@pytest.mark.parametrize("options", [{"bf": "0"}, {"bf": "3"}])
def test_joined_recordings_play_one_after_the_other(
    clip: Callable[..., Path], tmp_path: Path, options: dict[str, str]
) -> None:
    part = clip("part.ts", frames=20, sound=False, options=options)
    source = joined(tmp_path / "joined.ts", part, part, part)
    with open_reader(source) as reader:
        times = [frame.time for frame in reader]
    assert [time - times[0] for time in times] == [Fraction(index, 30) for index in range(60)]
    assert [restart.time - times[0] for restart in reader.info.restarts] == [Fraction(2, 3), Fraction(4, 3)]


def test_a_stretch_is_found_behind_the_joint(clip: Callable[..., Path], tmp_path: Path) -> None:
    part = clip("part.ts", frames=20, sound=False)
    with open_reader(joined(tmp_path / "joined.ts", part, part), start=Fraction(1)) as reader:
        assert len(list(reader)) == 10


def sound_times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [packet.pts * packet.time_base for packet in container.demux(audio=0) if packet.size]


@pytest.mark.parametrize("ending", ["mkv", "mp4", "ts"])
def test_sound_keeps_pace(clip: Callable[..., Path], tmp_path: Path, ending: str) -> None:
    part = clip("part.ts", frames=60)
    source, target = joined(tmp_path / "joined.ts", part, part, part), tmp_path / f"b.{ending}"
    receipt = copy(source, target)
    once, found = sound_times(part), sound_times(target)
    assert len(found) > 2.9 * len(once)
    expected = [time - once[0] + 2 * turn for turn in range(3) for time in once][: len(found)]
    assert all(abs(time - found[0] - wanted) < Fraction(1, 10) for time, wanted in zip(found, expected, strict=True))
    changed = {line.what: line.reason for line in receipt.changed}
    assert "begins anew" in changed["frame times"]
    assert not any(what.startswith("audio") for what in changed)


def test_sound_of_a_stretch_behind_the_joint_is_there(clip: Callable[..., Path], tmp_path: Path) -> None:
    part = clip("part.ts", frames=60)
    copy(joined(tmp_path / "joined.ts", part, part), tmp_path / "b.mkv", start=Fraction(3), duration=Fraction(1, 2))
    found = sound_times(tmp_path / "b.mkv")
    assert 20 <= len(found) <= 25
    assert abs(found[0]) < Fraction(1, 10)


def in_clusters(source: Path, target: Path) -> list[int]:
    """The clip as a Matroska file; where in it the times of its clusters lie, which all in them are counted from."""
    options = {"cluster_time_limit": "500"}
    with av.open(str(source)) as clip, av.open(str(target), "w", options=options) as output:
        copies = [output.add_stream_from_template(stream) for stream in clip.streams]
        for packet in clip.demux():
            if packet.size:
                packet.stream = copies[packet.stream_index]
                output.mux(packet)
    mark = b"\x1f\x43\xb6\x75"
    places = [found.end() for found in re.finditer(re.escape(mark), target.read_bytes())]
    return [place + target.read_bytes()[place:].index(b"\xe7\x82") + 2 for place in places]


def test_sound_comes_through_a_stretch_of_damaged_times(clip: Callable[..., Path], tmp_path: Path) -> None:
    whole, damaged = tmp_path / "whole.mkv", tmp_path / "damaged.mkv"
    places = in_clusters(clip("a.mp4", frames=120, options={"g": "10", "bf": "0"}), whole)
    data = bytearray(whole.read_bytes())
    assert int.from_bytes(data[places[4] : places[4] + 2], "big") > 1000  # milliseconds
    data[places[4] : places[4] + 2] = b"\0\0"
    damaged.write_bytes(data)
    copy(whole, tmp_path / "b.mkv")
    copy(damaged, tmp_path / "c.mkv")
    wanted, found = sound_times(tmp_path / "b.mkv"), sound_times(tmp_path / "c.mkv")
    assert all(abs(time - other) < Fraction(1, 10) for time, other in zip(found, wanted, strict=True))


def test_an_ordinary_clip_has_no_such_line(clip: Callable[..., Path], tmp_path: Path) -> None:
    receipt = copy(clip("a.ts"), tmp_path / "b.mp4")
    assert "frame times" not in {line.what for line in receipt.changed}


def test_swapped_and_equal_times_move_up() -> None:
    assert ticks(0, 3, 2, 2, 4, 5) == [0, 3, 4, 5, 6, 7]


def test_no_time_follows_its_predecessor() -> None:
    assert ticks(7, None, 9) == [7, 8, 9]


def test_one_damaged_time_is_no_restart() -> None:
    assert ticks(100, 101, 0, 103, 104) == [100, 101, 102, 103, 104]
