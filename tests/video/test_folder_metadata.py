"""What picture files hold beside RGB: grey, transparency, EXIF and colour profiles come through a restoration."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin
from video_clips import draw

from selfhvd_cli.errors import InputFault
from selfhvd_cli.video.reader import open_reader
from selfhvd_cli.video.receipt import Receipt
from selfhvd_cli.video.writing import open_writer

WIDTH, HEIGHT = 40, 30
GRAY = draw(1, WIDTH, HEIGHT)[..., 0]
ALPHA = draw(2, WIDTH, HEIGHT)[..., 1]
TURNED, TAKEN = 6, "2024:01:02 03:04:05"


def restore(source: Path, target: Path, change: float = 0.1, untouched: int | None = None) -> Receipt:
    """Through reader and writer with `change` added to red; one frame passes as it is."""
    with open_reader(source) as reader, open_writer(target, reader.info) as writer:
        for frame in reader:
            restored = frame.rgb().clone()
            restored[0] += change
            writer.write(frame, None if frame.index == untouched else restored)
    return writer.receipt


def words(receipt: Receipt, section: str) -> str:
    return " ".join(line["what"] for line in receipt.as_dict()[section])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("deep", [False, True])
def test_grey_stays_grey_and_takes_the_lightness(tmp_path: Path, suffix: str, deep: bool) -> None:
    (tmp_path / "in").mkdir()
    codes = np.clip(GRAY, 0, 200).astype(np.uint16) * 257 if deep else np.clip(GRAY, 0, 200)
    Image.fromarray(codes).save(tmp_path / "in" / f"1{suffix}")
    restore(tmp_path / "in", tmp_path / "out")
    with Image.open(tmp_path / "out" / f"1{suffix}") as picture:
        found = np.asarray(picture)
    assert found.dtype == codes.dtype
    top = 65535 if deep else 255
    assert np.abs(found.astype(int) - codes - 0.1 * 0.2126 * top).max() <= 1


def test_a_grey_jpeg_stays_one(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(GRAY).save(tmp_path / "in" / "1.jpg", quality=95)
    restore(tmp_path / "in", tmp_path / "out", 0.0)
    with Image.open(tmp_path / "in" / "1.jpg") as before, Image.open(tmp_path / "out" / "1.jpg") as after:
        assert after.mode == "L"
        assert np.abs(np.asarray(before).astype(int) - np.asarray(after)).max() <= 2


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("mode", ["LA", "RGBA", "palette"])
def test_transparency_is_put_back(tmp_path: Path, mode: str, suffix: str) -> None:
    if (mode, suffix) == ("palette", ".tif"):
        pytest.skip("a palette of TIFF has none")
    (tmp_path / "in").mkdir()
    colours = [GRAY] if mode == "LA" else [GRAY // 2, GRAY, 255 - GRAY]
    picture = Image.fromarray(np.dstack([*colours, ALPHA]), None if mode == "palette" else mode)
    if mode == "palette":
        picture = picture.quantize(64)
    picture.save(tmp_path / "in" / f"1{suffix}")
    wanted = np.asarray(picture.convert("RGBA"))[..., 3]
    restore(tmp_path / "in", tmp_path / "out")
    with Image.open(tmp_path / "out" / f"1{suffix}") as after:
        assert after.mode == ("LA" if mode == "LA" else "RGBA")
        assert (np.asarray(after)[..., -1] == wanted).all()


@pytest.mark.parametrize("change", [0.0, 0.1])
def test_transparency_of_a_video_reaches_pictures(tmp_path: Path, change: float) -> None:
    with av.open(str(tmp_path / "in.mkv"), "w") as output:
        stream = output.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuva444p"
        picture = av.VideoFrame.from_ndarray(np.dstack([draw(0, WIDTH, HEIGHT), ALPHA]), format="rgba")
        picture = picture.reformat(format="yuva444p")
        codes = np.frombuffer(picture.planes[3], np.uint8).reshape(HEIGHT, -1)[:, :WIDTH].copy()
        output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    restore(tmp_path / "in.mkv", tmp_path / "out", change, untouched=None if change else 0)
    with Image.open(tmp_path / "out" / "frame_000001.png") as after:
        assert (np.asarray(after)[..., 3] == codes).all()


def test_pictures_of_several_kinds_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    colour = draw(0, WIDTH, HEIGHT)
    made = {"1": GRAY, "2": colour, "3": GRAY.astype(np.uint16) * 257, "4": np.dstack([colour, ALPHA])}
    for name, codes in made.items():
        Image.fromarray(codes).save(tmp_path / "in" / f"{name}.png")
    restore(tmp_path / "in", tmp_path / "out", 0.0)
    for name, codes in made.items():
        with Image.open(tmp_path / "out" / f"{name}.png") as picture:
            found = np.asarray(picture)
        assert found.shape == codes.shape
        assert (found == codes).all()


def profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif() -> Image.Exif:
    made = Image.Exif()
    made[0x0112], made[0x0132] = TURNED, TAKEN
    return made


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_exif_and_colour_profile_are_copied_byte_by_byte(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        picture = Image.fromarray(draw(number, WIDTH, HEIGHT))
        picture.save(tmp_path / "in" / f"{number}{suffix}", exif=exif(), icc_profile=profile())
    receipt = restore(tmp_path / "in", tmp_path / "out", untouched=1)
    for number in range(3):
        file = f"{number}{suffix}"
        with Image.open(tmp_path / "in" / file) as before, Image.open(tmp_path / "out" / file) as after:
            assert (after.info["exif"], after.info["icc_profile"]) == (
                before.info["exif"],
                before.info["icc_profile"],
            )
            assert after.getexif()[0x0132] == TAKEN
            assert after.size == before.size
            after.load()
    assert "EXIF of 3 frames" in words(receipt, "kept")
    assert "ICC profile of 3 frames" in words(receipt, "kept")
    assert not receipt.left_out


def test_a_large_profile_in_several_segments(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    large = bytes(range(256)) * 600
    Image.fromarray(draw(0, WIDTH, HEIGHT)).save(tmp_path / "in" / "1.jpg", icc_profile=large)
    restore(tmp_path / "in", tmp_path / "out")
    with Image.open(tmp_path / "out" / "1.jpg") as after:
        assert after.info["icc_profile"] == large


def test_texts_behind_the_pixels_of_a_png(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(GRAY).save(tmp_path / "in" / "1.png")
    whole = (tmp_path / "in" / "1.png").read_bytes()
    text = b"tEXtComment\x00a walk"
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    (tmp_path / "in" / "1.png").write_bytes(whole[:-12] + chunk + whole[-12:])
    restore(tmp_path / "in", tmp_path / "out")
    with Image.open(tmp_path / "out" / "1.png") as after:
        after.load()
        assert isinstance(after, PngImagePlugin.PngImageFile)
        assert after.text == {"Comment": "a walk"}


def test_what_a_tiff_loses_is_named(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(GRAY).save(tmp_path / "in" / "1.tif", icc_profile=profile(), tiffinfo={274: TURNED})
    receipt = restore(tmp_path / "in", tmp_path / "out")
    assert "ICC profile of 1 frame" in words(receipt, "left_out")
    assert "orientation of 1 frame" in words(receipt, "left_out")
    assert not restore(tmp_path / "in", tmp_path / "same", untouched=0).left_out


def test_a_frame_that_is_not_changed_is_its_file(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(2):
        Image.fromarray(draw(number, WIDTH, HEIGHT)).save(tmp_path / "in" / f"{number}.jpg", quality=60)
    restore(tmp_path / "in", tmp_path / "out", untouched=1)
    assert (tmp_path / "out" / "1.jpg").read_bytes() == (tmp_path / "in" / "1.jpg").read_bytes()
    assert (tmp_path / "out" / "0.jpg").read_bytes() != (tmp_path / "in" / "0.jpg").read_bytes()


def test_a_picture_that_goes_while_it_is_worked_on(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(GRAY).save(tmp_path / "in" / "1.png")
    with open_reader(tmp_path / "in") as reader:
        frame = next(iter(reader))
        (tmp_path / "in" / "1.png").unlink()
        with (
            pytest.raises(InputFault, match=r"1\.png: cannot be read any more"),
            open_writer(tmp_path / "out", reader.info) as writer,
        ):
            writer.write(frame)
    assert not (tmp_path / "out").exists()
