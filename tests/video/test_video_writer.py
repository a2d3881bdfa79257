"""Writing: nothing lost, nothing shifted, whole or not at all."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
import torch
from video_clips import FAST, Track, add_sound, codes_of, copy, draw, tracks_of

from selfhvd_cli.errors import DiskFault, EnvironmentFault, SelfHVDError, UsageFault
from selfhvd_cli.ops.sharpness import sharpness
from selfhvd_cli.video import muxing as muxing_module
from selfhvd_cli.video import writer as writer_module
from selfhvd_cli.video.boxes import read_movie
from selfhvd_cli.video.encoders import Encoding
from selfhvd_cli.video.info import VideoInfo
from selfhvd_cli.video.pixel_formats import nearest_format
from selfhvd_cli.video.probe import probe
from selfhvd_cli.video.reader import open_reader
from selfhvd_cli.video.writing import open_writer

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "handheld.mp4"
UNEVEN = (0, 20, 41, 60, 180, 181, 240, 300)
LOSSLESS = Encoding(codec="ffv1")

MATRICES = {
    "90": (0, 65536, 0, -65536, 0, 0, 0, 0, 1073741824),
    "180": (-65536, 0, 0, 0, -65536, 0, 0, 0, 1073741824),
    "270": (0, -65536, 0, 65536, 0, 0, 0, 0, 1073741824),
    "mirrored": (-65536, 0, 0, 0, 65536, 0, 0, 0, 1073741824),
    "turned and mirrored": (0, 65536, 0, 65536, 0, 0, 0, 0, 1073741824),
}


def times_of(path: Path) -> list[Fraction]:
    with open_reader(path) as reader:
        return [frame.time for frame in reader]


def others(path: Path) -> list[Track]:
    return [track for track in tracks_of(path) if track.kind != "video"]


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
@pytest.mark.parametrize("delay", [0, 4410])
def test_a_phone_clip_comes_back_as_it_was(clip: Callable[..., Path], suffix: str, delay: int) -> None:
    tags = {
        "com.apple.quicktime.make": "Apple",
        "com.apple.quicktime.location.ISO6709": "+51.5932-000.2431+040.123/",
        "com.android.version": "14",
        "creation_time": "2024-01-24T14:50:14.000000Z",
    }
    source = clip(
        f"in.{suffix}",
        ticks=UNEVEN,
        sound_delay=delay,
        matrix=MATRICES["90"],
        tags=tags,
        chapters=((0, 200, "one"), (200, 500, "two")),
        sample_aspect_ratio=Fraction(4, 3),
    )
    os.utime(source, (1_600_000_000, 1_600_000_000))
    target = source.with_name(f"out.{suffix}")
    receipt = copy(source, target)
    assert times_of(target) == [Fraction(tick, 600) for tick in UNEVEN]
    assert others(target) == others(source)
    before, after = probe(source), probe(target)
    for name in (
        "width", "height", "codec", "pixel_format", "color", "display_matrix", "sample_aspect_ratio", "metadata",
        "chapters", "start_time", "duration", "frame_count", "container",
    ):  # fmt: skip
        assert getattr(after, name) == getattr(before, name), name
    assert [str(stream) for stream in after.streams] == [str(stream) for stream in before.streams]
    assert os.stat(target).st_mtime == 1_600_000_000
    assert not receipt.left_out
    assert not receipt.changed
    assert any("packets, bit-identical" in line.reason for line in receipt.kept)


@pytest.mark.parametrize("turn", MATRICES)
def test_orientation_is_kept_also_mirrored(clip: Callable[..., Path], turn: str) -> None:
    source = clip("in.mp4", frames=2, sound=False, matrix=MATRICES[turn])
    copy(source, source.with_name("out.mp4"))
    assert probe(source.with_name("out.mp4")).display_matrix == MATRICES[turn]


@pytest.mark.parametrize(
    ("codec", "pixel_format", "color", "like"),
    [
        ("libx264", "yuv420p", (1, 1, 1, 1), "h264"),
        ("libx264", "yuvj420p", (1, 1, 1, 2), "h264"),
        ("libx264", "yuv422p10le", (1, 1, 1, 1), "h264"),
        ("libx264", "yuv420p", (5, 6, 5, 1), "h264"),
        ("libx264", "yuv420p", (2, 2, 2, 0), "h264"),
        ("libx265", "yuv420p10le", (9, 18, 9, 1), "hevc"),
        ("libx265", "yuv420p10le", (9, 16, 9, 1), "hevc"),
        ("libx265", "yuv444p12le", (1, 1, 1, 1), "hevc"),
    ],
)
def test_codec_depth_and_colour_stay(
    clip: Callable[..., Path], codec: str, pixel_format: str, color: tuple[int, ...], like: str
) -> None:
    source = clip("in.mp4", frames=3, sound=False, codec=codec, pixel_format=pixel_format, color=color)
    copy(source, source.with_name("out.mp4"))
    before, after = probe(source), probe(source.with_name("out.mp4"))
    assert (after.codec, after.pixel_format, after.color) == (like, pixel_format, before.color)
    assert after.hdr == before.hdr
    if like == "hevc":
        assert after.codec_tag == "hvc1"


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p", "yuv420p10le"])
def test_untouched_frames_are_bit_exact_before_encoding(clip: Callable[..., Path], pixel_format: str) -> None:
    source = clip("in.mp4", frames=4, sound=False, pixel_format=pixel_format)
    target, again = source.with_name("a.mkv"), source.with_name("b.mkv")
    copy(source, target, LOSSLESS)
    with open_reader(source) as reader, open_writer(again, reader.info, LOSSLESS) as writer:
        for frame in reader:
            writer.write(frame, frame.rgb().clone())
    assert codes_of(source) == codes_of(target) == codes_of(again)


def test_a_restoration_is_what_is_encoded(clip: Callable[..., Path]) -> None:
    source = clip("in.mp4", frames=3, sound=False, pixel_format="yuv444p")
    target = source.with_name("out.mkv")
    wanted = []
    with open_reader(source) as reader, open_writer(target, reader.info, LOSSLESS) as writer:
        for frame in reader:
            wanted.append((frame.rgb() * 0.7 + 0.1).clone())
            writer.write(frame, wanted[-1])
    with open_reader(target) as reader:
        for frame, picture in zip(reader, wanted, strict=True):
            assert (frame.rgb() - picture).abs().max() < 4 / 255


def test_a_restoration_of_another_size_is_a_mistake(clip: Callable[..., Path]) -> None:
    source = clip("in.mp4", frames=2, sound=False)
    target = source.with_name("out.mp4")
    with (
        open_reader(source) as reader,
        pytest.raises(ValueError, match="restored must be"),
        open_writer(target, reader.info, FAST) as writer,
    ):
        writer.write(next(iter(reader)), torch.zeros(3, 4, 4))
    assert not target.exists()


@pytest.mark.parametrize(("choice", "suffix"), [("hevc", "mp4"), ("av1", "mp4"), ("prores", "mov"), ("ffv1", "mkv")])
def test_another_codec_on_request(clip: Callable[..., Path], choice: str, suffix: str) -> None:
    source = clip("in.mp4", frames=4, size=(96, 64))
    target = source.with_name(f"out.{suffix}")
    copy(source, target, Encoding(codec=choice, preset="ultrafast"))
    assert probe(target).codec == choice
    pairs = zip(times_of(source), times_of(target), strict=True)
    assert all(abs(a - b) < Fraction(1, 1000) for a, b in pairs)
    sounds = [[packet[0] for packet in track.packets] for path in (source, target) for track in others(path)]
    assert sounds[0] == sounds[1]


def test_a_codec_the_container_cannot_hold(clip: Callable[..., Path]) -> None:
    source = clip("in.mp4", frames=2, sound=False)
    with pytest.raises(UsageFault, match="mp4 cannot hold prores"):
        copy(source, source.with_name("out.mp4"), Encoding(codec="prores"))
    assert [path.name for path in source.parent.iterdir()] == ["in.mp4"]


def test_old_codecs_become_the_nearest_good_one(clip: Callable[..., Path]) -> None:
    source = clip("in.mp4", frames=3, sound=False, codec="mpeg4", time_base=Fraction(1, 600))
    receipt = copy(source, source.with_name("out.mp4"))
    assert probe(source.with_name("out.mp4")).codec == "h264"
    assert [str(line) for line in receipt.changed] == ["video: mpeg4 is written as h264"]


def test_hardware_that_is_not_there_falls_back_and_says_so(clip: Callable[..., Path]) -> None:
    source = clip("in.mp4", frames=2, sound=False)
    receipt = copy(source, source.with_name("out.mp4"), Encoding(codec="h264", hardware=True, preset="ultrafast"))
    if not receipt.notes:
        pytest.skip("this machine has a hardware encoder")
    assert all("does not open" in line.reason for line in receipt.notes)
    assert probe(source.with_name("out.mp4")).codec == "h264"


def test_no_encoder_at_all(clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    source = clip("in.mp4", frames=2, sound=False)
    monkeypatch.setattr(muxing_module, "plan_encoders", lambda *_: iter(()))
    with pytest.raises(EnvironmentFault, match="no video encoder"):
        copy(source, source.with_name("out.mp4"))
    assert not source.with_name("out.mp4").exists()


def test_the_default_does_not_inflate_a_small_file(clip: Callable[..., Path]) -> None:
    source = clip("in.mp4", frames=30, size=(320, 240), sound=False, options={"crf": "40", "preset": "medium"})
    copy(source, source.with_name("out.mp4"), Encoding())
    assert source.with_name("out.mp4").stat().st_size < 10 * source.stat().st_size


def test_the_default_does_not_smooth_fine_detail(tmp_path: Path) -> None:
    length = Fraction(1, 3)

    def detail(path: Path) -> float:
        with open_reader(path, duration=length) as reader:
            return sum(float(sharpness(frame.rgb().unsqueeze(0))) for frame in reader)

    # x265 by itself leaves 0.981 of it.
    copy(EXAMPLE, tmp_path / "out.mp4", Encoding(codec="hevc"), duration=length)
    assert detail(tmp_path / "out.mp4") > 0.995 * detail(EXAMPLE)


def test_mkv_and_back(clip: Callable[..., Path]) -> None:
    source = clip("in.mkv", ticks=[0, 20, 40, 110], time_base=Fraction(1, 1000), tags={"TITLE": "Garden"})
    receipt = copy(source, source.with_name("out.mkv"))
    assert times_of(source.with_name("out.mkv")) == times_of(source)
    assert [track.packets for track in others(source.with_name("out.mkv"))] == [t.packets for t in others(source)]
    before, after = (dict(probe(path).metadata) for path in (source, source.with_name("out.mkv")))
    assert before.pop("ENCODER") == after.pop("ENCODER")
    assert before == after
    assert "Garden" in after.values()
    assert not receipt.left_out


def test_a_container_that_rounds_times_says_so(clip: Callable[..., Path]) -> None:
    source = clip("in.mp4", ticks=[0, 21, 41, 60], sound=False)
    receipt = copy(source, source.with_name("out.mkv"))
    assert any(line.what == "frame times" for line in receipt.changed)
    pairs = zip(times_of(source), times_of(source.with_name("out.mkv")), strict=True)
    assert all(abs(a - b) < Fraction(1, 1000) for a, b in pairs)


def test_what_a_container_cannot_hold_is_named(clip: Callable[..., Path]) -> None:
    source = clip("in.mp4", frames=3, tags={"com.android.version": "14"})
    receipt = copy(source, source.with_name("out.avi"))
    assert times_of(source.with_name("out.avi")) == times_of(source)
    assert any("evenly spaced" in line.reason for line in receipt.changed)
    assert "tag com.android.version: avi has no place for it" in [str(line) for line in receipt.left_out]


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov"])
def test_languages_titles_and_roles_of_tracks_stay(tmp_path: Path, suffix: str) -> None:
    source, target = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
    with av.open(str(source), "w") as output:
        video = output.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        assert isinstance(video, av.VideoStream)
        video.width, video.height = 64, 48
        video.metadata["title"] = "Camera"
        one, two = (output.add_stream("aac", rate=44100) for _ in range(2))
        one.metadata.update(language="deu", title="Ton")
        two.metadata.update(language="eng", title="Comments")
        one.disposition, two.disposition = av.stream.Disposition.default, av.stream.Disposition.comment
        for index in range(8):
            output.mux(video.encode(av.VideoFrame.from_ndarray(draw(index, 64, 48), format="rgb24")))
        output.mux(video.encode(None))
        for stream in (one, two):
            assert isinstance(stream, av.AudioStream)
            add_sound(output, stream, Fraction(8, 30), 0)
    copy(source, target)
    for before, after in zip(tracks_of(source), tracks_of(target), strict=True):
        assert [after.tags.get(name) for name in TOLD] == [before.tags.get(name) for name in TOLD]
        assert after.disposition == before.disposition


TOLD = ("language", "title", "name")


def test_chapters_that_a_container_has_no_place_for_are_named(clip: Callable[..., Path]) -> None:
    source = clip("in.mkv", chapters=((0, 100, "one"), (100, 200, "two")))
    receipt = copy(source, source.with_name("out.avi"))
    assert not probe(source.with_name("out.avi")).chapters
    assert "2 chapters: avi has no place for them" in [str(line) for line in receipt.left_out]
    assert not any("chapter" in line.what for line in receipt.kept)


@pytest.mark.parametrize("damage", [b"\xff\xff\xff\xfe", b"\0\0\0\x0b"])
@pytest.mark.parametrize("stretch", [{}, {"start": Fraction(1, 10)}])
def test_a_damaged_reference_to_the_names_of_chapters(
    clip: Callable[..., Path], damage: bytes, stretch: dict[str, Fraction]
) -> None:
    source = clip("in.mp4", chapters=((0, 100, "one"), (100, 200, "two")))
    data = source.read_bytes()
    place = data.index(b"chap") - 4
    source.write_bytes(data[:place] + damage + data[place + 4 :])
    target = source.with_name("out.mp4")
    receipt = copy(source, target, **stretch)
    assert len(times_of(target)) == (5 if stretch else 8)
    assert "audio 1 (aac)" in str(receipt.kept)


def test_a_track_whose_number_is_beyond_all_bounds(clip: Callable[..., Path]) -> None:
    source = clip("in.mp4")
    data = source.read_bytes()
    place = data.index(b"tkhd") + 16
    source.write_bytes(data[:place] + b"\xff\xff\xff\xff" + data[place + 4 :])
    target = source.with_name("out.mp4")
    copy(source, target)
    assert len(times_of(target)) == 8


def test_trimming_moves_everything(clip: Callable[..., Path]) -> None:
    source = clip(
        "in.mp4",
        frames=60,
        tags={"creation_time": "2024-01-24T14:50:14.000000Z"},
        chapters=((0, 800, "one"), (800, 2000, "two")),
    )
    target = source.with_name("out.mp4")
    receipt = copy(source, target, start=Fraction(1), duration=Fraction(1, 2))
    assert times_of(target) == [Fraction(i, 30) for i in range(15)]
    after = probe(target)
    assert after.metadata["creation_time"] == "2024-01-24T14:50:15.000000Z"
    assert [chapter.metadata["title"] for chapter in after.chapters] == ["two"]
    assert "1 chapter" in [line.what for line in receipt.kept]
    names = next(stream for stream in after.streams if stream.kind == "data")
    picture = read_movie(target)[0].all(b"trak")[0]
    assert struct.pack(">I4sI", 12, b"chap", names.id) == picture.need(b"tref").payload
    sound = next(track for track in tracks_of(target) if track.kind == "audio")
    whole = [packet[0] for track in tracks_of(source) if track.kind == "audio" for packet in track.packets]
    assert "".join(packet[0] for packet in sound.packets) in "".join(whole)
    shown = [time for _, time, _ in sound.packets if time is not None]
    assert -0.05 < shown[0] <= 0
    assert 0.4 < shown[-1] < 0.5
    assert any(line.what == "trimmed" for line in receipt.notes)


def test_a_beginning_ends_the_sound_with_the_pictures(clip: Callable[..., Path]) -> None:
    source = clip("in.mp4", frames=60)
    target = source.with_name("out.mp4")
    copy(source, target, duration=Fraction(1, 2))
    assert len(times_of(target)) == 15
    old, new = (next(t for t in tracks_of(path) if t.kind == "audio").packets for path in (source, target))
    assert [digest for digest, _, _ in new] == [digest for digest, _, _ in old][: len(new)]
    assert 0.4 < max(time for _, time, _ in new if time is not None) < 0.5


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_pictures_before_zero_move_with_the_sound(clip: Callable[..., Path], suffix: str) -> None:
    source = clip(f"in.{suffix}", frames=6, time_base=Fraction(1, 1000))
    target = source.with_name("out.mp4")
    with open_reader(source) as reader:
        early = replace(reader.info, start_time=Fraction(-1, 10))
        with open_writer(target, early, FAST) as writer:
            for frame in reader:
                frame.time -= Fraction(1, 10)
                writer.write(frame)
    assert times_of(target)[0] == 0
    assert len(times_of(target)) == 6
    assert any(line.what == "start" for line in writer.receipt.changed)
    first = [next(t.packets[0][1] for t in tracks_of(path) if t.kind == "audio") for path in (source, target)]
    assert abs((first[1] or 0) - (first[0] or 0) - Fraction(1, 10)) < Fraction(1, 1000)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_sound_lies_beside_its_pictures(clip: Callable[..., Path], suffix: str) -> None:
    """A player reads a file from its beginning: sound far behind its pictures stutters, and cannot be streamed."""
    source = clip("in.mp4", ticks=[600 * second for second in range(30)])
    target = source.with_name(f"out.{suffix}")
    copy(source, target)
    reached = {"video": Fraction(0), "audio": Fraction(0)}
    with av.open(str(target)) as container:
        packets = [packet for packet in container.demux() if packet.size and packet.stream.type in reached]
        for packet in sorted(packets, key=lambda packet: packet.pos or 0):
            assert packet.pts is not None
            reached[packet.stream.type] = packet.pts * packet.time_base
            assert abs(reached["video"] - reached["audio"]) < 3


def test_frames_out_of_order_are_a_mistake(clip: Callable[..., Path]) -> None:
    source = clip("in.mp4", frames=3, sound=False)
    with open_reader(source) as reader:
        first, second, _ = reader
    with open_writer(source.with_name("out.mp4"), reader.info, FAST) as writer:
        writer.write(second)
        with pytest.raises(ValueError, match="order of their times"):
            writer.write(first)


# -- whole or not at all


def interrupted(source: Path, target: Path, fault: BaseException) -> None:
    with open_reader(source) as reader, open_writer(target, reader.info, FAST, overwrite=True) as writer:
        for frame in reader:
            if frame.index == 3:
                raise fault
            writer.write(frame)


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), SystemExit(1), MemoryError()])
def test_an_interrupted_run_leaves_the_old_file(clip: Callable[..., Path], fault: BaseException) -> None:
    source = clip("in.mp4")
    target = source.with_name("out.mp4")
    target.write_bytes(b"yesterday's result")
    with pytest.raises(type(fault)):
        interrupted(source, target, fault)
    assert target.read_bytes() == b"yesterday's result"
    assert sorted(path.name for path in source.parent.iterdir()) == ["in.mp4", "out.mp4"]


def test_a_full_disk_is_one_clear_message(clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    source = clip("in.mp4")
    target = source.with_name("out.mp4")
    full = av.error.make_error(errno.ENOSPC) if hasattr(av.error, "make_error") else OSError(errno.ENOSPC, "full")

    def fail(*_: Any) -> None:
        raise full

    monkeypatch.setattr(writer_module.VideoWriter, "_send", fail)
    with pytest.raises(DiskFault, match="no space is left"):
        copy(source, target)
    assert [path.name for path in source.parent.iterdir()] == ["in.mp4"]


def test_a_real_full_disk(clip: Callable[..., Path]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    source = clip("in.mp4", frames=30)
    target = source.with_name("out.mkv")
    target.with_name("out.mkv.part").symlink_to("/dev/full")
    with pytest.raises(DiskFault, match="no space is left"):
        copy(source, target)
    assert not target.exists()


def test_a_result_that_lacks_frames_is_dropped(clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    source = clip("in.mkv", frames=6, sound=False, time_base=Fraction(1, 1000))
    send, count = writer_module.VideoWriter._send, iter(range(100))

    def lossy(self: Any, packet: Any) -> None:
        if next(count) != 2:
            send(self, packet)

    monkeypatch.setattr(writer_module.VideoWriter, "_send", lossy)
    with pytest.raises(SelfHVDError, match="6 frames were written, 5 came back"):
        copy(source, source.with_name("out.mkv"))
    assert not source.with_name("out.mkv").exists()


def test_a_result_with_a_frame_off_its_time_is_dropped(
    clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = clip("in.mkv", frames=6, sound=False, time_base=Fraction(1, 1000))
    send, count = writer_module.VideoWriter._send, iter(range(100))

    def late(self: Any, packet: Any) -> None:
        if next(count) == 5:
            packet.pts += 20
        send(self, packet)

    monkeypatch.setattr(writer_module.VideoWriter, "_send", late)
    with pytest.raises(SelfHVDError, match="off its time"):
        copy(source, source.with_name("out.mkv"))
    assert not source.with_name("out.mkv").exists()


def test_nothing_written_is_a_fault(clip: Callable[..., Path]) -> None:
    source = clip("in.mp4", frames=2)
    with (
        pytest.raises(SelfHVDError, match="no frame was written"),
        open_writer(source.with_name("out.mp4"), probe(source), FAST),
    ):
        pass
    assert not source.with_name("out.mp4").exists()


# -- targets


def test_the_input_is_never_the_output(clip: Callable[..., Path]) -> None:
    source = clip("in.mp4", frames=2)
    linked, hard = source.with_name("link.mp4"), source.with_name("hard.mp4")
    linked.symlink_to(source)
    os.link(source, hard)
    for target in (source, linked, hard, source.parent / "." / "in.mp4"):
        with pytest.raises(UsageFault, match="replace its own input"):
            open_writer(target, probe(source), overwrite=True)


def test_an_input_named_as_the_unfinished_output_is_left_alone(clip: Callable[..., Path]) -> None:
    made = clip("in.mp4", frames=4)
    source = made.rename(made.with_name("out.mp4.part"))
    before = source.read_bytes()
    with pytest.raises(UsageFault, match=r"\.part"):
        copy(source, source.with_name("out.mp4"))
    assert source.read_bytes() == before


def test_an_existing_file_needs_overwrite(clip: Callable[..., Path]) -> None:
    source = clip("in.mp4", frames=2)
    target = source.with_name("out.mp4")
    target.write_bytes(b"old")
    with pytest.raises(UsageFault, match="--overwrite"):
        open_writer(target, probe(source))
    with open_reader(source) as reader, open_writer(target, reader.info, FAST, overwrite=True) as writer:
        for frame in reader:
            writer.write(frame)
    assert probe(target).frame_count == 2


def test_a_folder_that_cannot_be_written(clip: Callable[..., Path], read_only_folder: Path) -> None:
    with pytest.raises(DiskFault, match="permission"):
        open_writer(read_only_folder / "out.mp4", probe(clip("in.mp4", frames=2)))


def test_targets_that_cannot_be(clip: Callable[..., Path]) -> None:
    source = clip("in.mp4", frames=2)
    info = probe(source)
    with pytest.raises(DiskFault, match="does not exist"):
        open_writer(source.parent / "none" / "out.mp4", info)
    with pytest.raises(UsageFault, match="unknown kind of video file"):
        open_writer(source.with_name("out.gif"), info)


@pytest.mark.parametrize("arguments", [{"codec": "h263"}, {"preset": "warp"}, {"crf": 99}, {"crf": -1}])
def test_encodings_that_do_not_exist(arguments: dict[str, Any]) -> None:
    with pytest.raises(UsageFault):
        Encoding(**arguments)


@pytest.mark.parametrize(
    ("wanted", "offered", "chosen"),
    [
        ("yuv420p", ["nv12", "yuv420p"], "yuv420p"),
        ("yuvj420p", ["yuv420p", "yuv420p10le"], "yuv420p"),
        ("yuv420p10le", ["nv12", "p010le"], "p010le"),
        ("yuv422p", ["yuv420p", "yuv444p"], "yuv444p"),
        ("yuv420p", ["yuv422p10le", "yuv444p10le"], "yuv422p10le"),
        ("gray", ["yuv420p", "yuv444p"], "yuv420p"),
        ("gbrp", ["yuv420p", "gbrp"], "gbrp"),
        ("yuva444p12le", ["yuv422p10le", "yuv444p10le", "yuva444p10le"], "yuva444p10le"),
        ("yuv444p12le", ["yuva444p10le", "yuv444p10le"], "yuv444p10le"),
    ],
)
def test_the_nearest_pixel_format_loses_least(wanted: str, offered: list[str], chosen: str) -> None:
    assert nearest_format(wanted, offered) == chosen


def test_static_hdr_metadata_reaches_the_bitstream(clip: Callable[..., Path]) -> None:
    mastering = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
    source = clip(
        "in.mp4",
        frames=3,
        sound=False,
        codec="libx265",
        pixel_format="yuv420p10le",
        color=(9, 16, 9, 1),
        options={"x265-params": f"log-level=error:master-display={mastering}:max-cll=1000,400"},
    )
    before: VideoInfo = probe(source)
    assert before.hdr_metadata.mastering is not None
    copy(source, source.with_name("out.mp4"))
    assert probe(source.with_name("out.mp4")).hdr_metadata == before.hdr_metadata


@pytest.mark.parametrize("size", [(33, 21), (2, 2), (16, 130)])
def test_unusual_sizes(clip: Callable[..., Path], size: tuple[int, int]) -> None:
    source = clip("in.mkv", frames=3, sound=False, size=size, codec="ffv1", time_base=Fraction(1, 1000))
    copy(source, source.with_name("out.mp4"))
    info = probe(source.with_name("out.mp4"))
    assert (info.width, info.height, info.frame_count) == (*size, 3)


def test_data_tracks_and_chapters_of_a_trimmed_clip(shared: Path, tmp_path: Path) -> None:
    source, target = shared / "media" / "phone" / "gopro_hero7.mp4", tmp_path / "out.mp4"
    receipt = copy(source, target, start=Fraction(2), duration=Fraction(1))
    before, after = probe(source), probe(target)
    assert [stream.kind for stream in after.streams] == [stream.kind for stream in before.streams]
    assert after.metadata["creation_time"] == "2019-05-06T11:13:30.000000Z"
    assert after.metadata["firmware"] == before.metadata["firmware"]
    assert not receipt.left_out
    telemetry = next(track for track in tracks_of(target) if track.tags["handler_name"] == "\x0bGoPro MET  ")
    shown = [time for _, time, hidden in telemetry.packets if time is not None and not hidden and time > -1]
    assert 0 <= min(time for time in shown if time >= 0) < 1.1
    whole = {digest for track in tracks_of(source) for digest, _, _ in track.packets}
    assert {digest for digest, _, _ in telemetry.packets} <= whole


def test_interlaced_video_stays_interlaced(clip: Callable[..., Path]) -> None:
    source = clip("in.mp4", frames=4, sound=False, options={"flags": "+ildct+ilme", "x264-params": "tff=1"})
    if not probe(source).interlaced:
        pytest.skip("this encoder does not flag interlaced pictures")
    copy(source, source.with_name("out.mp4"))
    assert probe(source.with_name("out.mp4")).interlaced
