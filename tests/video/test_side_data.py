"""What pictures carry beside their planes, also of kinds that PyAV has no name for."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import pytest
from PIL import Image
from spatial_video import make_spatial_video
from video_clips import copy, draw

from selfhvd_cli.deblurring.job import check_clip
from selfhvd_cli.errors import UsageFault
from selfhvd_cli.video.probe import probe

TURNED_RIGHT = 6
"""EXIF's number for a picture to be turned by 90°."""


def photo(index: int) -> bytes:
    """A JPEG as cameras write it."""
    picture = Image.fromarray(draw(index, 64, 48))
    exif = picture.getexif()
    exif[0x0112], exif[0x0132] = TURNED_RIGHT, "2024:01:02 03:04:05"
    memory = io.BytesIO()
    picture.save(memory, "JPEG", exif=exif)
    return memory.getvalue()


def test_pictures_with_exif_are_read_and_stay_turned(tmp_path: Path) -> None:
    source = tmp_path / "a.mov"
    with av.open(str(source), "w") as output:
        stream = output.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        stream.time_base = Fraction(1, 30)
        for index in range(4):
            packet = av.Packet(photo(index))
            packet.pts = packet.dts = index
            packet.time_base, packet.stream = Fraction(1, 30), stream
            output.mux(packet)
    turned = probe(source).display_matrix
    assert turned is not None
    copy(source, tmp_path / "b.mov")
    assert probe(tmp_path / "b.mov").display_matrix == turned


def test_a_photo_is_a_single_picture(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(photo(0))
    with pytest.raises(UsageFault, match="is a single picture"):
        check_clip(probe(path))


def test_spatial_video_is_read(tmp_path: Path) -> None:
    source = make_spatial_video(tmp_path / "a.hevc")
    copy(source, tmp_path / "b.mkv")
    with av.open(str(tmp_path / "b.mkv")) as container:
        assert len(list(container.decode(video=0))) == 6
