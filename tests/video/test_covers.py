"""Cover pictures and attached files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import cv2
import pytest
from av.stream import Disposition
from video_clips import copy, draw

from selfhvd_cli.video.info import StreamInfo
from selfhvd_cli.video.probe import probe

FONT = b"letters" * 100


def covers(path: Path) -> list[StreamInfo]:
    return [stream for stream in probe(path).streams if stream.disposition & Disposition.attached_pic]


def picture_in(path: Path) -> bytes:
    with av.open(str(path)) as container:
        stream = container.streams[covers(path)[0].index]
        return next(bytes(packet) for packet in container.demux(stream) if packet.size)


@pytest.fixture
def film(clip: Callable[..., Path]) -> Path:
    """A Matroska file with a cover picture and a font attached."""
    made = clip("made.mp4", frames=10)
    target = made.with_name("in.mkv")
    with av.open(str(made)) as old, av.open(str(target), "w") as new:
        copies = [new.add_stream_from_template(stream) for stream in old.streams]
        new.add_attachment("cover.jpg", "image/jpeg", cv2.imencode(".jpg", draw(0, 64, 48))[1].tobytes())
        new.add_attachment("letters.ttf", "application/x-truetype-font", FONT)
        for packet in old.demux():
            if packet.size:
                packet.stream = copies[packet.stream_index]
                new.mux(packet)
    return target


def test_a_cover_stays_a_cover(film: Path) -> None:
    assert len(covers(film)) == 1
    phone, again = film.with_name("out.mp4"), film.with_name("again.mkv")
    copy(film, phone)
    receipt = copy(phone, again)
    for path in (phone, again):
        assert len(covers(path)) == 1
        assert picture_in(path) == picture_in(film)
        assert probe(path).frame_count in (10, None)
    assert "cover picture" in [line.reason for line in receipt.kept]
    assert not receipt.left_out


def test_attached_files_are_kept_and_said_to_be(film: Path) -> None:
    target = film.with_name("out.mkv")
    receipt = copy(film, target)
    with av.open(str(target)) as container:
        files = {stream.name: stream.data for stream in container.streams if stream.type == "attachment"}
    assert files == {"letters.ttf": FONT}
    assert len(covers(target)) == 1
    assert not receipt.left_out
    assert not receipt.changed


def test_a_cover_that_becomes_an_ordinary_video_is_named(film: Path) -> None:
    phone, target = film.with_name("out.mp4"), film.with_name("out.avi")
    copy(film, phone)
    receipt = copy(phone, target)
    assert not covers(target)
    line = next(line for line in receipt.changed if line.what == "video 2 (mjpeg)")
    assert "ordinary video" in line.reason
