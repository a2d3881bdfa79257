"""Bombs: small files that claim to be enormous are refused before memory or time is spent on them."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from selfhvd_cli.errors import InputFault
from selfhvd_cli.video import opening
from selfhvd_cli.video.boxes import Box, extents, read_extent, read_movie
from selfhvd_cli.video.claims import refuse_impossible_claims
from selfhvd_cli.video.probe import probe
from selfhvd_cli.video.reader import open_reader


def with_movie(path: Path, change: Callable[[Box], None]) -> Path:
    """The file with its movie header changed, which stands behind the pictures."""
    movie, top = read_movie(path)
    assert top[-1].kind == b"moov"
    change(movie)
    with path.open("rb") as file:
        kept = b"".join(read_extent(file, each) for each in extents(file)[:-1])
    path.write_bytes(kept + movie.bytes())
    return path


def sizes_of(movie: Box) -> Box:
    return movie.need(b"trak", b"mdia", b"minf", b"stbl", b"stsz")


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pictures = zlib.compress(bytes(3 * 4096))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pictures) + chunk(b"IEND", b"")


def test_two_thousand_million_samples_of_one_size(clip: Callable[..., Path]) -> None:
    def claim(movie: Box) -> None:
        sizes_of(movie).payload = struct.pack(">III", 0, 7, 2_000_000_000)

    with pytest.raises(InputFault, match="claims 2000000000 samples"):
        probe(with_movie(clip("a.mp4", sound=False), claim))


def test_a_fragment_of_as_many(clip: Callable[..., Path]) -> None:
    path = clip("a.mp4", sound=False)
    run = struct.pack(">I4sII", 16, b"trun", 0, 2_000_000_000)
    track = struct.pack(">I4s", 8 + len(run), b"traf") + run
    path.write_bytes(path.read_bytes() + struct.pack(">I4s", 8 + len(track), b"moof") + track)
    with pytest.raises(InputFault, match="in a fragment"):
        probe(path)


def test_a_million_tracks(clip: Callable[..., Path]) -> None:
    def claim(movie: Box) -> None:
        assert movie.children is not None
        movie.children += [Box(b"trak")] * 1_000_000

    with pytest.raises(InputFault, match="tracks"):
        probe(with_movie(clip("a.mp4", sound=False), claim))


@pytest.mark.parametrize("kind", [b"keys", b"udta"])
def test_a_million_tags(clip: Callable[..., Path], kind: bytes) -> None:
    def claim(movie: Box) -> None:
        assert movie.children is not None
        if kind == b"keys":
            table = struct.pack(">II", 0, 1_000_000) + struct.pack(">I4sB", 9, b"mdta", 65) * 1_000_000
            movie.children.append(Box(b"meta", struct.pack(">I4s", 8 + len(table), b"keys") + table))
        else:
            movie.children.append(Box(b"udta", struct.pack(">I4s", 9, b"\xa9abc") + b"x"))
            movie.children[-1].payload *= 1_000_000

    with pytest.raises(InputFault, match="tags"):
        probe(with_movie(clip("a.mp4", sound=False), claim))


def test_a_million_tags_in_matroska(clip: Callable[..., Path]) -> None:
    path = clip("a.mkv", sound=False, tags={f"name{number}": "v" * 300 for number in range(4000)})
    with pytest.raises(InputFault, match="KiB of tags"):
        probe(path)


@pytest.mark.parametrize("size", [(30_000, 30_000), (16_000, 16_000), (2_000_000_000, 1)])
def test_enormous_pictures(tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "0001.png").write_bytes(png(*size))
    with pytest.raises(InputFault), open_reader(tmp_path) as reader:
        list(reader)
    with pytest.raises(InputFault):
        probe(tmp_path / "0001.png")


def test_a_picture_larger_than_its_container_says(clip: Callable[..., Path]) -> None:
    path = clip("a.mov", frames=1, codec="png", pixel_format="rgb24", color=(2, 2, 2, 0), sound=False)
    data = path.read_bytes()
    at = data.index(b"IHDR")
    header = b"IHDR" + struct.pack(">II", 15_000, 15_000) + data[at + 12 : at + 17]
    path.write_bytes(data[:at] + header + struct.pack(">I", zlib.crc32(header)) + data[at + 21 :])
    with pytest.raises(InputFault, match="million pixels"):
        probe(path)


@pytest.mark.parametrize(("place", "number"), [(12, 0xFFFFFFFF), (12, 1), (16, 0xFFFFFFFF)])
@pytest.mark.parametrize("header", ["mvhd", "mdhd"])
def test_absurd_clocks_and_durations(clip: Callable[..., Path], header: str, place: int, number: int) -> None:
    def claim(movie: Box) -> None:
        box = movie.need(b"mvhd") if header == "mvhd" else movie.need(b"trak", b"mdia", b"mdhd")
        box.payload = box.payload[:place] + struct.pack(">I", number) + box.payload[place + 4 :]

    path = with_movie(clip("a.mp4", sound=False), claim)
    try:
        with open_reader(path) as reader:
            times = [frame.time for frame in reader]
    except InputFault:
        assert header == "mdhd", "the edit list shows nothing on such a clock"
    else:
        assert 1 <= len(times) <= 8
        assert times == sorted(set(times))


def test_headers_that_never_end_are_given_up(clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = clip("a.mp4", sound=False)
    monkeypatch.setattr(opening, "PATIENCE", 0.05)
    monkeypatch.setattr(av, "open", lambda *arguments, **named: time.sleep(1))
    with pytest.raises(InputFault, match="cannot be read in"):
        probe(path)


def test_real_headers_pass(shared: Path) -> None:
    for path in (shared / "media" / "phone").iterdir():
        refuse_impossible_claims(path)
