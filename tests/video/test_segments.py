"""Outputs written in segments: one seamless stream, and the same bytes whether a run was cut off or not."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest
from tiny_clips import make_clip, make_frames

from selfhvd_cli.video.encoders import Encoding
from selfhvd_cli.video.reader import open_reader
from selfhvd_cli.video.segments import Piece, SegmentFile, read_notes, read_pieces
from selfhvd_cli.video.writing import open_writer

UNEVEN = tuple(20 * index + (index * index) % 13 + (150 if index > 17 else 0) for index in range(29))
"""Ticks of 29 frames with a pause in the middle of the third segment."""


class Shelf:
    """Keeps segments in memory."""

    def __init__(self, length: int, segments: list[list[Piece]] | None = None) -> None:
        self.length = length
        self.segments = list(segments or [])
        self.kept = length * len(self.segments)
        self._open: list[Piece] = []

    def pieces(self, segment: int) -> Iterator[Piece]:
        return iter(self.segments[segment])

    def add(self, piece: Piece) -> None:
        self._open.append(piece)

    def close_segment(self) -> None:
        self.segments.append(self._open)
        self._open = []


def write(source: Path, target: Path, encoding: Encoding | None = None, shelf: Shelf | None = None) -> Path:
    with open_reader(source) as reader, open_writer(target, reader.info, encoding, overwrite=True) as writer:
        if shelf is not None:
            assert writer.keep(shelf)
        for frame in reader:
            writer.write(frame, (frame.rgb() * 0.9 + 0.05) if shelf is None or frame.index >= shelf.kept else None)
    return target


def contents(path: Path) -> object:
    """The bytes of a file; for Matroska, which numbers every file by chance, all that lies in it."""
    if path.suffix not in (".mkv", ".webm"):
        return path.read_bytes()
    with av.open(str(path)) as container:
        return [
            (each.stream_index, each.pts, each.dts, each.duration, each.is_keyframe, bytes(each))
            for each in container.demux()
        ]


def packets(path: Path) -> list[tuple[int, int, bool]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [(each.pts, each.dts, each.is_keyframe) for each in container.demux(stream) if each.size]


def decoded(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.options = {"err_detect": "explode"}
        return [frame.pts * frame.time_base for frame in container.decode(stream)]


@pytest.mark.parametrize(
    ("codec", "ending"),
    [("h264", ".mp4"), ("h264", ".mkv"), ("hevc", ".mov"), ("av1", ".mp4"), ("prores", ".mov"), ("ffv1", ".mkv")],
)
def test_a_run_that_goes_on_writes_the_same_file(tmp_path: Path, codec: str, ending: str) -> None:
    # On 80x64 pixels neither x265 (one row of blocks) nor x264 (its macroblock tree, which reads past so small a
    # picture, once in 25 to 1000 runs) itself writes the same twice.
    source = make_clip(tmp_path / "clip.mp4", UNEVEN, width=128, height=96)
    encoding = Encoding(codec=codec, preset="veryfast")
    whole = Shelf(8)
    straight = contents(write(source, tmp_path / f"straight{ending}", encoding, whole))
    assert len(whole.segments) == 3
    for count in (1, 2, 3):
        again = Shelf(8, whole.segments[:count])
        resumed = write(source, tmp_path / f"resumed{ending}", encoding, again)
        assert contents(resumed) == straight
        assert again.segments == whole.segments


@pytest.mark.parametrize(("codec", "ending"), [("h264", ".mp4"), ("hevc", ".mp4"), ("av1", ".mkv")])
def test_segments_make_one_stream(tmp_path: Path, codec: str, ending: str) -> None:
    source = make_clip(tmp_path / "clip.mp4", UNEVEN)
    encoding = Encoding(codec=codec)
    plain = write(source, tmp_path / f"plain{ending}", encoding)
    cut = write(source, tmp_path / f"cut{ending}", encoding, Shelf(8))
    assert decoded(cut) == decoded(plain)
    order = [dts for _, dts, _ in packets(cut)]
    assert order == sorted(set(order)), "decoding times rise"
    assert order == [dts for _, dts, _ in packets(plain)], "they are those of one encoder"
    keys = sorted(pts for pts, _, key in packets(cut) if key)
    times = sorted(pts for pts, _, _ in packets(cut))
    assert set(times[::8]) <= set(keys), "a player can begin with every segment"


def test_a_clip_shorter_than_a_segment_is_written_as_ever(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "clip.mp4", width=128, height=96)
    plain = write(source, tmp_path / "plain.mp4")
    cut = write(source, tmp_path / "cut.mp4", shelf=Shelf(8))
    assert cut.read_bytes() == plain.read_bytes()


@pytest.mark.parametrize("ending", [".avi", ".ts", ".webm"])
def test_other_containers_take_segments(tmp_path: Path, ending: str) -> None:
    source = make_clip(tmp_path / "clip.mp4", UNEVEN)
    whole = Shelf(8)
    encoding = Encoding(preset="ultrafast")
    straight = write(source, tmp_path / f"straight{ending}", encoding, whole)
    again = write(source, tmp_path / f"again{ending}", encoding, Shelf(8, whole.segments[:2]))
    assert contents(again) == contents(straight)


def test_a_folder_goes_on_with_the_same_pictures(tmp_path: Path) -> None:
    source = make_frames(tmp_path / "frames", 7)
    whole = Shelf(3)
    straight = write(source, tmp_path / "straight", shelf=whole)
    resumed = write(source, tmp_path / "resumed", shelf=Shelf(3, whole.segments[:1]))
    names = sorted(path.name for path in straight.iterdir())
    assert names == sorted(path.name for path in resumed.iterdir())
    assert all((straight / name).read_bytes() == (resumed / name).read_bytes() for name in names)


def test_a_segment_file_gives_back_what_it_was_given(tmp_path: Path) -> None:
    pieces = [Piece(b"one", 0, -40, 20), Piece(b"", 60, None, 0, is_key=False), Piece(b"x" * 5000, 20, 2**40, 1)]
    file = SegmentFile(tmp_path / "segment")
    for piece in pieces:
        file.add(piece)
    size, digest = file.finish([{"words": ["ä", 1.5]}])
    assert size == (tmp_path / "segment").stat().st_size
    assert len(digest) == 64
    assert list(read_pieces(tmp_path / "segment")) == pieces
    assert read_notes(tmp_path / "segment") == [{"words": ["ä", 1.5]}]
