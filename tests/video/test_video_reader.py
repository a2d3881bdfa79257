"""Reading: what a file holds, its frames, their times, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import av.logging
import numpy as np
import pytest
import torch
from video_clips import Recipe, draw, make

from selfhvd_cli.errors import InputFault
from selfhvd_cli.video.opening import refuse_absurd_size
from selfhvd_cli.video.probe import main_video, probe
from selfhvd_cli.video.reader import VideoReader, open_reader

UNEVEN = (0, 20, 41, 60, 180, 181, 240, 300)
TURNED = (0, 65536, 0, -65536, 0, 0, 0, 0, 1073741824)


def test_probe_tells_what_the_file_holds(clip: Callable[..., Path]) -> None:
    path = clip(
        "a.mp4",
        matrix=TURNED,
        tags={"com.apple.quicktime.make": "Apple", "creation_time": "2024-01-24T14:50:14.000000Z"},
        chapters=((0, 100, "one"), (100, 260, "two")),
        sample_aspect_ratio=Fraction(4, 3),
    )
    info = probe(path)
    assert (info.width, info.height, info.codec, info.pixel_format, info.bit_depth) == (64, 48, "h264", "yuv420p", 8)
    assert info.display_matrix == TURNED
    assert info.sample_aspect_ratio == Fraction(4, 3)
    assert info.metadata["com.apple.quicktime.make"] == "Apple"
    assert [chapter.metadata["title"] for chapter in info.chapters] == ["one", "two"]
    assert [stream.kind for stream in info.streams] == ["video", "audio", "data"]
    assert (info.color.primaries, info.color.transfer, info.color.matrix, info.color.range) == (1, 1, 1, 1)
    assert info.frame_count == 8
    assert info.hdr is None
    assert not info.interlaced


def test_times_are_exact_and_uneven(clip: Callable[..., Path]) -> None:
    with VideoReader(clip("a.mp4", ticks=UNEVEN)) as reader:
        frames = list(reader)
    assert [frame.time for frame in frames] == [Fraction(tick, 600) for tick in UNEVEN]
    assert [frame.index for frame in frames] == list(range(8))
    assert reader.damaged == 0


def test_reading_again_starts_again(clip: Callable[..., Path]) -> None:
    with VideoReader(clip("a.mp4")) as reader:
        assert [frame.time for frame in reader] == [frame.time for frame in reader]


def test_frames_look_as_they_should(clip: Callable[..., Path]) -> None:
    with VideoReader(clip("a.mp4", pixel_format="yuv444p")) as reader:
        for frame in reader:
            drawn = torch.from_numpy(draw(frame.index, 64, 48).copy()).permute(2, 0, 1) / 255
            assert (frame.rgb() - drawn).abs().mean() < 0.02
            assert frame.rgb() is frame.rgb(), "computed once"


@pytest.mark.parametrize(
    ("pixel_format", "color"),
    [("yuvj444p", (1, 1, 1, 2)), ("yuv444p", (1, 1, 1, 1)), ("yuv444p", (5, 6, 5, 1))],
    ids=["full range", "BT.709", "BT.601"],
)
def test_colours_are_those_that_were_filmed(
    clip: Callable[..., Path], pixel_format: str, color: tuple[int, int, int, int]
) -> None:
    with VideoReader(clip("a.mp4", pixel_format=pixel_format, color=color)) as reader:
        for frame in reader:
            drawn = torch.from_numpy(draw(frame.index, 64, 48).copy()).permute(2, 0, 1) / 255
            assert (frame.rgb() - drawn).abs().mean() < 0.008


@pytest.mark.parametrize(("transfer", "name"), [(18, "hlg"), (16, "pq")])
def test_hdr_is_read_in_its_own_curve(clip: Callable[..., Path], transfer: int, name: str) -> None:
    path = clip("a.mp4", codec="libx265", pixel_format="yuv420p10le", color=(9, transfer, 9, 1))
    with VideoReader(path) as reader:
        assert reader.info.hdr == name
        assert reader.info.bit_depth == 10
        first = next(iter(reader))
        drawn = torch.from_numpy(draw(0, 64, 48).copy()).permute(2, 0, 1) / 255
        assert (first.rgb() - drawn).abs().mean() < 0.03


def test_a_stretch_is_counted_from_the_first_frame(clip: Callable[..., Path]) -> None:
    path = clip("a.mp4", ticks=[tick + 300 for tick in UNEVEN])
    with open_reader(path, start=Fraction(1, 10), duration=Fraction(1, 4)) as reader:
        assert [frame.time for frame in reader] == [Fraction(tick + 300, 600) for tick in (60, 180, 181)]


def test_a_stretch_behind_the_end_is_refused(clip: Callable[..., Path]) -> None:
    with open_reader(clip("a.mp4"), start=Fraction(99)) as reader, pytest.raises(InputFault, match="--start 99"):
        list(reader)


def test_seeking_to_a_stretch_gives_the_same_pictures(clip: Callable[..., Path]) -> None:
    path = clip("a.mp4", frames=40, options={"g": "7", "bf": "2"})
    with open_reader(path) as reader:
        whole = {frame.time: frame.rgb() for frame in reader}
    with open_reader(path, start=Fraction(1)) as reader:
        part = {frame.time: frame.rgb() for frame in reader}
    assert len(part) == 10
    assert all(torch.equal(whole[time], picture) for time, picture in part.items())


def test_the_main_picture_is_not_the_cover(tmp_path: Path) -> None:
    path = tmp_path / "cover.mp4"
    with av.open(str(path), "w") as output:
        cover = output.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 128, 128, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        video = output.add_stream("libx264", rate=30)
        video.width, video.height = 32, 32
        output.mux(cover.encode(av.VideoFrame.from_ndarray(draw(0, 128, 128), format="rgb24")))
        output.mux(cover.encode(None))
        for index in range(3):
            output.mux(video.encode(av.VideoFrame.from_ndarray(draw(index, 32, 32), format="rgb24")))
        output.mux(video.encode(None))
    with av.open(str(path)) as container:
        assert main_video(container, path).width == 32


def test_damage_in_the_middle_is_counted_and_passed(clip: Callable[..., Path]) -> None:
    path = clip("a.mp4", frames=30, sound=False, options={"g": "5"})
    with av.open(str(path)) as container:
        spots = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for start, size in spots[11:14]:
        data[start + 4 : start + size] = b"\xff" * (size - 4)
    path.write_bytes(bytes(data))
    with VideoReader(path) as reader:
        frames = list(reader)
    assert reader.damaged > 0
    assert 20 <= len(frames) <= 30
    assert frames[-1].time == Fraction(29, 30)


def test_many_holes_with_pictures_between_them_are_passed(tmp_path: Path) -> None:
    path = tmp_path / "a.y4m"
    picture = bytes([128]) * 95 + b"\n"  # FFmpeg looks for the next frame behind the next line
    frames = [(b"FRAME\n" if index % 2 == 0 else b"FRA E\n") + picture for index in range(81)]
    path.write_bytes(b"YUV4MPEG2 W8 H8 F30:1 Ip C420jpeg\n" + b"".join(frames))
    with VideoReader(path) as reader:
        times = [frame.time for frame in reader]
    assert times == [Fraction(index, 30) for index in range(0, 81, 2)]
    assert reader.damaged >= 40


def test_a_file_cut_short_gives_what_is_left(clip: Callable[..., Path]) -> None:
    path = clip("a.mkv", frames=60, sound=False)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with VideoReader(path) as reader:
        assert 5 < len(list(reader)) < 60


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("text.mp4", b"Dear diary, today I filmed nothing.\n" * 40, "is text, not a recording"),
        ("empty.mp4", b"", "0 bytes"),
        ("zeros.mov", bytes(5000), "cannot be"),
    ],
)
def test_what_is_no_video_is_refused(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputFault, match=words) as caught:
        probe(path)
    assert str(path) in caught.value.message


def test_missing_and_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputFault, match="no such file"):
        open_reader(tmp_path / "none.mp4")
    with pytest.raises(InputFault, match="folder without"):
        open_reader(tmp_path)


def test_a_name_no_file_can_have_is_the_inputs_fault(tmp_path: Path) -> None:
    with pytest.raises(InputFault, match=r"\(file name too long\)"):
        open_reader(tmp_path / f"{'a' * 300}.mp4")
    with pytest.raises(InputFault, match="no such file"):
        probe(tmp_path / "a\0.mp4")


def test_what_must_not_be_read_is_the_inputs_fault(clip: Callable[..., Path]) -> None:
    if os.geteuid() == 0:
        pytest.skip("permissions do not bind the superuser")
    path = clip("a.mp4")
    for locked in (path, path.parent):
        mode = locked.stat().st_mode
        locked.chmod(0)
        try:
            for open_it in (open_reader, probe):
                with pytest.raises(InputFault, match="no permission to read it"):
                    open_it(path)
        finally:
            locked.chmod(mode)


def test_a_folder_that_must_not_be_read_is_the_inputs_fault(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("permissions do not bind the superuser")
    folder = tmp_path / "frames"
    folder.mkdir(0)
    with pytest.raises(InputFault, match="no permission to read it"):
        open_reader(folder)


def test_sound_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.m4a"
    with av.open(str(path), "w", format="mp4") as output:
        stream = output.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        frame.sample_rate = 44100
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    with pytest.raises(InputFault, match=r"holds no video \(found: audio\)"):
        probe(path)


def test_a_moov_that_is_cut_off_is_refused(clip: Callable[..., Path]) -> None:
    path = clip("a.mp4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises(InputFault, match="cannot be read as a video"):
        probe(path)


@pytest.mark.parametrize("size", [(40000, 10), (16000, 16000)])
def test_absurd_sizes_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InputFault, match="are not supported"):
        refuse_absurd_size(Path("a.mp4"), *size)


def test_frames_without_a_time_follow_one_another(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp4", Recipe(frames=5, sound=False))
    raw = tmp_path / "raw.h264"
    with av.open(str(path)) as source, av.open(str(raw), "w", format="h264") as output:
        stream = output.add_stream_from_template(source.streams.video[0], opaque=True)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    with VideoReader(raw) as reader:
        times = [frame.time for frame in reader]
    assert len(times) == 5
    assert times == sorted(set(times))


def test_reports_switched_on_by_another_library_are_switched_off(clip: Callable[..., Path]) -> None:
    """Once they hung a run: a decoder's thread waited to report, and closing the clip for the thread."""
    path = clip("a.mp4")
    try:
        av.logging.set_level(av.logging.ERROR)
        with open_reader(path) as reader:
            frames = iter(reader)
            next(frames)
            assert av.logging.get_level() is None
            av.logging.set_level(av.logging.ERROR)
        assert av.logging.get_level() is None
    finally:
        av.logging.set_level(None)
