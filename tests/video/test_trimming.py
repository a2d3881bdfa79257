"""Trimming: what of the clip goes with its pictures begins where they begin."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import av.subtitles.stream
import numpy as np
import pytest
from av.stream import Disposition
from video_clips import copy, tracks_of

from selfhvd_cli.video.boxes import EMPTY_EDIT, Edit, get_edits, get_header, read_movie, set_edits
from selfhvd_cli.video.probe import probe

MILLISECOND = Fraction(1, 1000)


def test_a_date_that_is_not_known_is_not_made_up(clip: Callable[..., Path]) -> None:
    source = clip("in.mp4", frames=60)
    assert "creation_time" not in probe(source).metadata
    target = source.with_name("out.mp4")
    copy(source, target, start=Fraction(1))
    after = probe(target)
    assert not [tags for tags in (after.metadata, *(s.metadata for s in after.streams)) if "creation_time" in tags]


@pytest.mark.parametrize("never", ["0000-00-00 00:00:00", "2026-02-30T25:61:00", "9999-12-31T23:59:59"])
def test_a_date_that_never_was_stays_as_it_is(clip: Callable[..., Path], never: str) -> None:
    source = clip("in.mp4", frames=60, tags={"date": never})
    target = source.with_name("out.mp4")
    copy(source, target, start=Fraction(1))
    assert probe(target).metadata["date"] == never


def with_telemetry(path: Path) -> Path:
    """The clip with its sound made into a track of a camera's measurements."""
    path.write_bytes(path.read_bytes().replace(b"soun", b"meta").replace(b"mp4a", b"gpmd"))
    return path


def measured_at(path: Path, time: Fraction) -> Fraction | None:
    """Which second of its data track a file shows at a time; None for nothing."""
    movie = read_movie(path)[0]
    track = next(each for each in movie.all(b"trak") if each.need(b"mdia", b"hdlr").payload[8:12] == b"meta")
    timescale, clock = get_header(movie.need(b"mvhd"))[2], get_header(track.need(b"mdia", b"mdhd"))[2]
    begin = Fraction(0)
    for edit in get_edits(track):
        end = begin + Fraction(edit.duration, timescale)
        if begin <= time < end:
            return None if edit.media_time == EMPTY_EDIT else Fraction(edit.media_time, clock) + time - begin
        begin = end
    return None


@pytest.mark.parametrize("late", [Fraction(0), Fraction(1)])
@pytest.mark.parametrize("sound_delay", [0, 22050])
@pytest.mark.parametrize("start", [Fraction(1, 4), Fraction(71, 100)])
def test_measurements_stay_with_the_pictures_they_were_taken_with(
    clip: Callable[..., Path], late: Fraction, sound_delay: int, start: Fraction
) -> None:
    ticks = [int(late * 600) + 20 * index for index in range(60)]
    source = with_telemetry(clip("in.mp4", ticks=ticks, sound_delay=sound_delay))
    assert [stream.kind for stream in probe(source).streams] == ["video", "data"]
    target = source.with_name("out.mp4")
    copy(source, target, start=start, duration=Fraction(1))
    first = min(Fraction(tick, 600) for tick in ticks if Fraction(tick, 600) >= late + start)
    for time in (Fraction(1, 100), Fraction(1, 2), Fraction(9, 10)):
        before, after = measured_at(source, first + time), measured_at(target, time)
        assert (before is None) == (after is None)
        assert abs((after or 0) - (before or 0)) < MILLISECOND


def test_measurements_that_ended_before_the_stretch_are_not_shown(clip: Callable[..., Path]) -> None:
    ticks = [20 * index for index in range(90)]
    source = with_telemetry(clip("in.mp4", ticks=ticks))
    movie, top = read_movie(source)
    track = movie.all(b"trak")[1]
    edit = get_edits(track)[-1]
    set_edits(track, [Edit(500, edit.media_time)])  # half a second
    header = next(each for each in top if each.kind == b"moov")
    assert header == top[-1], "the header comes last, so that a change of its size moves nothing"
    source.write_bytes(source.read_bytes()[: header.start] + movie.bytes())
    target = source.with_name("out.mp4")
    copy(source, target, start=Fraction(1))
    data = next(each for each in tracks_of(target) if each.kind == "data")
    assert not [time for _, time, hidden in data.packets if not hidden]


WORDS = ((0, 200, ""), (200, 1600, "first"), (1800, 200, ""), (2000, 700, "next"), (2700, 300, ""), (3000, 900, "z"))
"""(from, for how long, what): milliseconds."""


def with_words(source: Path, target: Path) -> Path:
    with av.open(str(source)) as clip, av.open(str(target), "w") as output:
        video, words = output.add_stream_from_template(clip.streams.video[0]), output.add_stream("mov_text")
        assert isinstance(words, av.subtitles.stream.SubtitleStream)
        words.codec_context.subtitle_header = b"[Script Info]"
        words.time_base = MILLISECOND
        output.start_encoding()
        for packet in clip.demux(video=0):
            if packet.size:
                packet.stream = video
                output.mux(packet)
        for time, length, text in WORDS:
            packet = av.Packet(len(text).to_bytes(2, "big") + text.encode())
            packet.pts = packet.dts = time
            packet.duration, packet.time_base, packet.is_keyframe, packet.stream = length, MILLISECOND, True, words
            output.mux(packet)
    return target


def words_of(path: Path) -> list[tuple[float, float, str]]:
    """(from, until, what) of the subtitles, in seconds."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(subtitles=0) if packet.size > 2 and not packet.is_discard]
        spans = [(each.pts, each.pts + each.duration, bytes(each)[2:].decode()) for each in packets]
        base = float(container.streams.subtitles[0].time_base)
    return [(round(begin * base, 2), round(end * base, 2), text) for begin, end, text in spans]


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_subtitles_are_shown_when_they_were(clip: Callable[..., Path], suffix: str) -> None:
    silent = clip("silent.mp4", frames=120, sound=False)
    source = with_words(silent, silent.with_name("in.mp4"))
    target = source.with_name(f"out.{suffix}")
    copy(source, target, start=Fraction(1), duration=Fraction(5, 2))
    assert words_of(target) == [(0.0, 0.8, "first"), (1.0, 1.7, "next"), (2.0, 2.5, "z")]
    copy(source, target.with_name(f"end.{suffix}"), duration=Fraction(1))
    assert words_of(target.with_name(f"end.{suffix}")) == [(0.2, 1.0, "first")]


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_chapters_stay_with_the_pictures_they_name(clip: Callable[..., Path], suffix: str) -> None:
    ticks = [2000 + 40 * index for index in range(60)]  # milliseconds
    chapters = ((0, 3500, "one"), (3500, 5000, "two"))
    source = clip("in.mkv", ticks=ticks, time_base=MILLISECOND, sound=False, chapters=chapters)
    target = source.with_name(f"out.{suffix}")
    copy(source, target, start=Fraction(99, 100))  # its first picture is that at 3 s
    found = [(chapter.start, chapter.metadata["title"]) for chapter in probe(target).chapters]
    assert found == [(0, "one"), (Fraction(1, 2), "two")]


def test_a_chapter_that_ends_before_the_first_picture_is_not_said_to_be_lost(clip: Callable[..., Path]) -> None:
    ticks = [0, 500, 1000, 2000, 2500]  # milliseconds; nothing is shown anew where the first chapter ends
    chapters = ((0, 1500, "one"), (1500, 3000, "two"))
    source = clip("in.mkv", ticks=ticks, time_base=MILLISECOND, sound=False, chapters=chapters)
    receipt = copy(source, source.with_name("out.mkv"), start=Fraction(6, 5))
    assert "1 chapter" in {line.what for line in receipt.kept}
    assert receipt.left_out == []


def motion_photo(path: Path, still_first: bool) -> Path:
    """Twenty small frames, and one large picture in a stream of its own."""
    with av.open(str(path), "w") as output:
        order = [(192, 144, [0]), (64, 48, range(20))] if still_first else [(64, 48, range(20)), (192, 144, [0])]
        streams = []
        for width, height, _ in order:
            stream = output.add_stream("libx264", rate=30, options={"preset": "ultrafast", "bf": "0"})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.disposition = Disposition.default
            streams.append(stream)
        for stream, (width, height, ticks) in zip(streams, order, strict=True):
            for tick in ticks:
                codes = np.random.default_rng(tick).integers(0, 256, (height, width, 3), np.uint8)
                frame = av.VideoFrame.from_ndarray(codes, format="rgb24")
                frame.pts, frame.time_base = tick, Fraction(1, 30)
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("still_first", [False, True])
@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_a_stretch_of_a_motion_photo_is_checked_by_its_own_frames(
    tmp_path: Path, suffix: str, still_first: bool
) -> None:
    source, target = motion_photo(tmp_path / "in.mp4", still_first), tmp_path / f"out.{suffix}"
    assert (probe(source).width, probe(source).frame_count) == (64, 20)
    receipt = copy(source, target, duration=Fraction(1, 10))
    assert receipt.kept[0].what == "3 frames"
    with av.open(str(target)) as written:
        first, _ = written.streams.video
        found = {first.width: sum(packet.size > 0 for packet in written.demux(first))}
    assert found == ({192: 1} if still_first else {64: 3})
    assert probe(target).width == 64
    if suffix != "mkv":  # which does not say how many frames a stream has
        assert probe(target).frame_count == 3


def test_the_picture_of_a_motion_photo_that_came_before_the_stretch(tmp_path: Path) -> None:
    source, target = motion_photo(tmp_path / "in.mp4", still_first=True), tmp_path / "out.mkv"
    assert copy(source, target, start=Fraction(1, 3), duration=Fraction(1, 10)).kept[0].what == "3 frames"
