"""The receipt: what the output no longer says of the source is named, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.stream import Disposition
from test_video_writer import MATRICES, times_of
from video_clips import copy

from selfhvd_cli.video.encoders import Encoding
from selfhvd_cli.video.probe import probe
from selfhvd_cli.video.receipt import Receipt

MILLISECOND = Fraction(1, 1000)


def named(receipt: Receipt) -> list[str]:
    return [line.what for line in (*receipt.changed, *receipt.left_out)]


def two_languages(source: Path, target: Path, of_video: Mapping[str, str]) -> Path:
    """`source` with its sound twice: the original in German, and comments on it in English."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        video = new.add_stream_from_template(old.streams.video[0])
        sounds = [new.add_stream_from_template(old.streams.audio[0]) for _ in range(2)]
        video.metadata.update(of_video)
        sounds[0].metadata.update({"language": "deu", "title": "Original"})
        sounds[1].metadata.update({"language": "eng", "title": "Commentary"})
        sounds[0].disposition, sounds[1].disposition = Disposition.default, Disposition.comment
        for packet in old.demux():
            if packet.size == 0:
                continue
            if packet.stream.type == "audio":
                again = av.Packet(bytes(packet))
                again.pts, again.dts, again.time_base = packet.pts, packet.dts, packet.time_base
                again.is_keyframe, again.stream = True, sounds[1]
                new.mux(again)
                packet.stream = sounds[0]
            else:
                packet.stream = video
            new.mux(packet)
    return target


@pytest.fixture
def film(clip: Callable[..., Path]) -> Path:
    """A Matroska file of which each stream has something to say."""
    source = clip("made.mkv", frames=20, time_base=MILLISECOND)
    return two_languages(source, source.with_name("in.mkv"), {"title": "Garden", "CAMERA": "left"})


def test_what_every_stream_says_is_kept_in_a_file_of_its_kind(film: Path) -> None:
    receipt = copy(film, film.with_name("out.mkv"))
    assert named(receipt) == []
    before, after = probe(film), probe(film.with_name("out.mkv"))
    assert [(each.language, each.disposition) for each in after.streams] == [
        (each.language, each.disposition) for each in before.streams
    ]


@pytest.mark.parametrize(
    ("suffix", "lost"),
    [
        ("mp4", ["tag CAMERA of video 0 (h264)"]),
        (
            "mov",
            [
                "tag CAMERA of video 0 (h264)",
                "language of audio 1 (aac, deu)",
                "disposition comment of audio 2 (aac, eng)",
            ],
        ),
        (
            "ts",
            [
                "tags title, CAMERA of video 0 (h264)",
                "disposition default of audio 1 (aac, deu)",
                "tag title of audio 1 (aac, deu)",
                "disposition comment of audio 2 (aac, eng)",
                "tag title of audio 2 (aac, eng)",
            ],
        ),
    ],
)
def test_what_a_stream_no_longer_says_is_named(film: Path, suffix: str, lost: list[str]) -> None:
    receipt = copy(film, film.with_name(f"out.{suffix}"))
    assert [what for what in named(receipt) if " of " in what] == lost
    assert all(line.reason for line in receipt.left_out)


def test_a_date_that_all_streams_repeat_is_named_once(clip: Callable[..., Path]) -> None:
    source = clip("in.mp4", frames=10, tags={"creation_time": "2024-01-24T14:50:14.000000Z"})
    assert all("creation_time" in stream.metadata for stream in probe(source).streams)
    assert [what for what in named(copy(source, source.with_name("out.ts"))) if "creation_time" in what] == [
        "tag creation_time"
    ]


def test_what_chapters_no_longer_say_is_named(clip: Callable[..., Path]) -> None:
    chapters = ((0, 200, "one"), (200, 600, "two"))
    source = clip("in.mkv", frames=20, time_base=MILLISECOND, sound=False, chapters=chapters)
    with av.open(str(source)) as old, av.open(str(source.with_name("told.mkv")), "w") as new:
        video = new.add_stream_from_template(old.streams.video[0])
        told = [{**each, "metadata": {**each["metadata"], "PLACE": "garden"}} for each in old.chapters()]
        new.set_chapters(told)  # type: ignore[arg-type]
        for packet in old.demux():
            if packet.size:
                packet.stream = video
                new.mux(packet)
    again, phone = source.with_name("again.mkv"), source.with_name("out.mp4")
    assert named(copy(source.with_name("told.mkv"), again)) == []
    assert probe(again).chapters[0].metadata["PLACE"] == "garden"
    receipt = copy(again, phone)
    assert named(receipt) == ["chapters' tags PLACE"]
    assert "2 chapters" in [line.what for line in receipt.kept]


@pytest.mark.parametrize("turn", MATRICES)
@pytest.mark.parametrize("suffix", ["mkv", "mov", "ts", "avi"])
def test_orientation_is_said_to_be_kept_only_where_it_is(clip: Callable[..., Path], turn: str, suffix: str) -> None:
    source = clip("in.mp4", frames=3, sound=False, matrix=MATRICES[turn])
    target = source.with_name(f"out.{suffix}")
    receipt = copy(source, target)
    matrix = probe(target).display_matrix
    kept = matrix is not None and matrix[:6] == MATRICES[turn][:6]
    assert ("orientation" in [line.what for line in receipt.kept]) == kept
    assert ("orientation" in named(receipt)) == (not kept)
    if suffix in ("mov", "mkv"):
        assert kept


def test_sound_that_avi_begins_too_early_is_named(clip: Callable[..., Path]) -> None:
    source = clip("in.mp4", frames=30, sound_delay=22050)
    receipt = copy(source, source.with_name("out.avi"))
    line = next(line for line in receipt.changed if line.what == "audio 1 (aac)")
    assert "early" in line.reason
    assert 0.45 < float(line.reason.split()[0]) < 0.55
    again = copy(source.with_name("out.avi"), source.with_name("again.avi"))
    assert "audio 1 (aac)" not in named(again)


@pytest.mark.parametrize(
    ("encoding", "ignored"),
    [
        (Encoding(codec="ffv1", crf=20, preset="slow"), ["--crf", "--preset"]),
        (Encoding(codec="prores", crf=20), ["--crf"]),
        (Encoding(codec="ffv1"), []),
        (Encoding(crf=30, preset="ultrafast"), []),
    ],
)
def test_flags_without_effect_are_said_to_have_none(
    clip: Callable[..., Path], encoding: Encoding, ignored: list[str]
) -> None:
    source = clip("in.mp4", frames=2, sound=False)
    receipt = copy(source, source.with_name("out.mkv"), encoding)
    assert [line.what for line in receipt.notes if "no effect" in line.reason] == ignored


def test_frames_are_at_their_own_times_only_where_nothing_changed_them(clip: Callable[..., Path]) -> None:
    source = clip("in.mp4", ticks=[0, 20, 27, 33, 80], sound=False, tags={"title": "Garden"})
    for name, why in (("out.mov", ": at their own times"), ("out.avi", ""), ("out.mkv", "")):
        receipt = copy(source, source.with_name(name))
        assert [str(line) for line in receipt.kept] == [f"5 frames{why}", "1 tag"]
        assert ("frame times" in named(receipt)) == (not why)


@pytest.mark.parametrize("start", [None, Fraction(1, 2)])
@pytest.mark.parametrize("dated", [False, True])
@pytest.mark.parametrize("sound", [False, True])
def test_what_trimming_does_is_said_where_it_does_it(
    clip: Callable[..., Path], sound: bool, dated: bool, start: Fraction | None
) -> None:
    tags = {"creation_time": "2024-01-24T14:50:14.000000Z"} if dated else {"title": "Garden"}
    source = clip("in.mp4", frames=30, sound=sound, tags=tags)
    receipt = copy(source, source.with_name("a.mp4"), **({"start": start} if start else {"duration": Fraction(1, 2)}))
    said = ["sound is cut between its packets"] * sound
    said += ["capture dates moved to the new beginning"] * (dated and start is not None)
    assert [line.reason for line in receipt.notes if line.what == "trimmed"] == ([", ".join(said)] if said else [])


def test_sound_of_which_some_has_not_come_through_the_air(clip: Callable[..., Path], tmp_path: Path) -> None:
    """FFmpeg refuses what is left of such a packet, and says so when it is the turn of another."""
    whole = clip("whole.ts", frames=12, time_base=Fraction(1, 90000)).read_bytes()
    length, sound = 188, 0x101
    said = []
    for place in range(0, len(whole), length):
        if int.from_bytes(whole[place + 1 : place + 3], "big") & 0x1FFF == sound:
            source, target = tmp_path / f"{place}.ts", tmp_path / f"{place}_out.ts"
            source.write_bytes(whole[:place] + whole[place + length :])
            receipt = copy(source, target)
            assert len(times_of(target)) == 12
            said += [str(line) for line in receipt.left_out]
    assert "1 packet: damaged in the source" in said
