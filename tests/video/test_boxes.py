"""Boxes of mp4 files: read and written byte by byte, headers and tables changed without harm."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from selfhvd_cli.video.boxes import (
    EMPTY_EDIT,
    Box,
    Edit,
    chunk_offsets,
    chunk_sizes,
    extents,
    get_edits,
    get_header,
    parse,
    read_extent,
    read_movie,
    sample_sizes,
    set_chunk_offsets,
    set_edits,
    set_header,
)
from selfhvd_cli.video.donor import donor


def test_a_header_is_read_and_written_byte_by_byte(clip: Callable[..., Path]) -> None:
    path = clip("a.mp4", tags={"com.android.version": "14"}, chapters=((0, 100, "one"),))
    movie, top = read_movie(path)
    with path.open("rb") as file:
        stored = next(read_extent(file, each) for each in top if each.kind == b"moov")
    assert movie.bytes() == stored


def test_tables_agree_with_ffmpeg(clip: Callable[..., Path]) -> None:
    path = clip("a.mp4", frames=12)
    movie, _ = read_movie(path)
    for track, stream in zip(movie.all(b"trak"), ("video", "audio"), strict=False):
        with av.open(str(path)) as container:
            packets = [(each.pos, each.size) for each in container.demux(**{stream: 0}) if each.size]
        assert sample_sizes(track) == [size for _, size in packets]
        spans = list(zip(chunk_offsets(track), chunk_sizes(track), strict=True))
        assert sum(length for _, length in spans) == sum(size for _, size in packets)
        assert {start for start, _ in spans} <= {pos for pos, _ in packets}
        assert all(any(start <= pos < start + length for start, length in spans) for pos, _ in packets)


@pytest.mark.parametrize("edits", [[Edit(500, 1024)], [Edit(40, EMPTY_EDIT), Edit(9, 0)], [Edit(1 << 33, 7)], []])
def test_edit_lists(clip: Callable[..., Path], edits: list[Edit]) -> None:
    track = read_movie(clip("a.mp4", frames=2, sound=False))[0].all(b"trak")[0]
    set_edits(track, edits)
    assert get_edits(parse(track.bytes())[0]) == edits


@pytest.mark.parametrize("duration", [7, 1 << 34])
@pytest.mark.parametrize("place", [(b"mvhd",), (b"trak", b"tkhd"), (b"trak", b"mdia", b"mdhd")])
def test_header_fields_grow_where_they_must(
    clip: Callable[..., Path], duration: int, place: tuple[bytes, ...]
) -> None:
    movie = read_movie(clip("a.mp4", frames=2, sound=False))[0]
    box = movie.need(*place)
    tail = box.payload[-4:]
    _, _, number, _ = get_header(box)
    set_header(box, creation=3, changed=4, duration=duration)
    assert get_header(parse(movie.bytes())[0].need(*place)) == (3, 4, number, duration)
    assert box.payload[-4:] == tail


def test_chunk_offsets_beyond_four_gigabytes(clip: Callable[..., Path]) -> None:
    track = read_movie(clip("a.mp4", frames=3, sound=False))[0].all(b"trak")[0]
    far = [offset + (1 << 33) for offset in chunk_offsets(track)]
    set_chunk_offsets(track, far, wide=True)
    assert chunk_offsets(parse(track.bytes())[0]) == far


@pytest.mark.parametrize(
    "data", [b"\0\0\0\x20moov", struct.pack(">I4s", 4, b"free"), struct.pack(">I4s", 500, b"trak") + b"abc"]
)
def test_broken_boxes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        parse(data)


def test_what_follows_the_last_box_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(Box(b"free", b"1234").bytes() + b"SEFT trailer without a box")
    with path.open("rb") as file:
        found = extents(file)
        assert [each.kind for each in found] == [b"free", b""]
        assert read_extent(file, found[1]) == b"SEFT trailer without a box"


def test_only_whole_files_are_donors(clip: Callable[..., Path], tmp_path: Path) -> None:
    path = clip("a.mp4")
    assert donor(path) is not None
    (tmp_path / "cut.mp4").write_bytes(path.read_bytes()[:-200])
    assert donor(tmp_path / "cut.mp4") is None
    assert donor(clip("a.mkv")) is None
