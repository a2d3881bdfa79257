"""A stretch from the middle of a clip begins with its first frame, however the keyframes lie."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest
from video_clips import copy

from selfhvd_cli.video.frame import SourceFrame
from selfhvd_cli.video.reader import open_reader

OPEN_GROUPS = {"x265-params": "keyint=15:min-keyint=15:open-gop=1:bframes=4:scenecut=0:log-level=error"}
B_FRAMES = {"g": "15", "bf": "3"}


def look(frame: SourceFrame) -> tuple[Fraction, bytes]:
    codes = frame.codes()
    assert codes is not None
    return frame.time, codes.flat.numpy().tobytes()


def assert_every_start_is_exact(path: Path) -> None:
    with open_reader(path) as reader:
        whole = [look(frame) for frame in reader]
    origin = whole[0][0]
    for index, (time, _) in enumerate(whole):
        with open_reader(path, start=time - origin) as reader:
            part = [look(frame) for _, frame in zip(range(3), reader, strict=False)]
        assert part == whole[index : index + 3], f"start {time - origin}"


def in_fragments(source: Path, target: Path, flags: str = "frag_keyframe+empty_moov") -> Path:
    """The same packets as recorders write them that must not lose a file when the battery is empty."""
    options = {"movflags": flags}
    with av.open(str(source)) as input, av.open(str(target), "w", container_options=options) as output:
        stream = output.add_stream_from_template(input.streams.video[0], opaque=True)
        for packet in input.demux(video=0):
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    return target


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {**B_FRAMES, "x264-params": "open-gop=1:scenecut=0"}),
        ("a.mp4", "libx265", OPEN_GROUPS),
        ("a.avi", "mpeg4", B_FRAMES),
        ("a.avi", "libx264", B_FRAMES),
    ],
)
def test_pictures_shown_before_the_nearest_keyframe_are_there(
    clip: Callable[..., Path], name: str, codec: str, options: dict[str, str]
) -> None:
    path = clip(name, codec=codec, frames=50, sound=False, options=options, time_base=Fraction(1, 30))
    assert_every_start_is_exact(path)


def test_fragments_are_sought_exactly(clip: Callable[..., Path], tmp_path: Path) -> None:
    whole = clip("a.mp4", frames=50, sound=False, options=B_FRAMES)
    assert_every_start_is_exact(in_fragments(whole, tmp_path / "b.mp4"))


def test_what_damage_has_made_of_a_fragment_is_not_put_behind_the_output(
    clip: Callable[..., Path], tmp_path: Path
) -> None:
    whole = clip("a.mp4", frames=50, sound=False, options={"g": "10", "bf": "0"})
    source, target = in_fragments(whole, tmp_path / "b.mp4", "frag_keyframe"), tmp_path / "c.mp4"
    data = source.read_bytes()
    assert data.index(b"moov") < data.index(b"moof"), "the movie header knows the first pictures"
    source.write_bytes(data.replace(b"moof", b"\xffoof", 1))
    copy(source, target, duration=Fraction(1, 10))
    with open_reader(target) as reader:
        assert len(list(reader)) == 3


def test_a_clock_finer_than_that_of_any_movie(clip: Callable[..., Path], tmp_path: Path) -> None:
    """Damage makes such, and who has no boxes to give needs a clock on which the pictures' beginning can be told."""
    ticks = [767_849 * index for index in range(9)]
    whole = clip("a.mp4", frames=9, time_base=Fraction(1, 23_040_000), ticks=ticks, sound=False, options=B_FRAMES)
    source, target = in_fragments(whole, tmp_path / "b.mp4"), tmp_path / "c.mp4"
    source.write_bytes(source.read_bytes().replace(b"edts", b"free"))  # so that they begin where no millisecond does
    copy(source, target)
    with open_reader(source) as before, open_reader(target) as after:
        for one, other in zip(before, after, strict=True):
            assert abs(one.time - other.time) < Fraction(1, 1_000_000)


def test_an_edit_list_is_sought_exactly(shared: Path) -> None:
    assert_every_start_is_exact(shared / "media" / "phone" / "amx_iibbibb_editlist_videoonly.mp4")


def test_where_keyframes_lie_as_usual_the_beginning_is_not_decoded(clip: Callable[..., Path]) -> None:
    path = clip("a.mp4", frames=60, sound=False, options={"g": "10", "bf": "0"})
    with av.open(str(path)) as container:
        spots = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for begin, size in spots[1:30]:
        data[begin + 4 : begin + size] = b"\xff" * (size - 4)
    path.write_bytes(bytes(data))
    with open_reader(path, start=Fraction(3, 2)) as reader:
        assert len(list(reader)) == 15
        assert reader.damaged == 0
    with open_reader(path) as reader:
        list(reader)
        assert reader.damaged > 0
