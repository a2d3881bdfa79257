"""A folder of pictures that a phone took upright or askew: EXIF's orientation becomes that of the video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from video_clips import FAST, draw

from selfhvd_cli.ops.orientation import upright
from selfhvd_cli.video.probe import probe
from selfhvd_cli.video.reader import open_reader
from selfhvd_cli.video.receipt import Receipt
from selfhvd_cli.video.writing import open_writer

WIDTH, HEIGHT = 64, 48


def burst(folder: Path, orientations: list[int], suffix: str = ".jpg", **options: object) -> np.ndarray:
    """Write the same picture several times; gives what a viewer shows of the first."""
    folder.mkdir()
    for number, orientation in enumerate(orientations):
        made = Image.Exif()
        made[0x0112], made[0x010F] = orientation, "Camera"
        picture = Image.fromarray(draw(0, WIDTH, HEIGHT))
        picture.save(folder / f"{number}{suffix}", exif=made, **options)
    with Image.open(folder / f"0{suffix}") as first:
        return np.asarray(ImageOps.exif_transpose(first)).astype(int)


def convert(source: Path, target: Path) -> Receipt:
    with open_reader(source) as reader, open_writer(target, reader.info, FAST) as writer:
        for frame in reader:
            assert tuple(frame.rgb().shape) == (3, HEIGHT, WIDTH)  # a network sees pictures as they are stored
            writer.write(frame)
    return writer.receipt


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_player_turns_the_video_as_a_viewer_turns_the_pictures(
    tmp_path: Path, orientation: int, suffix: str
) -> None:
    seen = burst(tmp_path / "in", [orientation] * 2, suffix)
    convert(tmp_path / "in", tmp_path / "out.mp4")
    with open_reader(tmp_path / "out.mp4") as reader:
        shown = upright(next(iter(reader)).rgb(), reader.info.display_matrix).permute(1, 2, 0)
    assert tuple(shown.shape) == seen.shape
    assert torch.from_numpy(seen).sub(shown * 255).abs().mean() < 6


def test_a_picture_without_exif_is_upright(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(draw(0, WIDTH, HEIGHT)).save(tmp_path / "in" / "1.jpg")
    receipt = convert(tmp_path / "in", tmp_path / "out.mp4")
    assert probe(tmp_path / "out.mp4").display_matrix is None
    assert not receipt.left_out
    assert not receipt.changed


def test_what_a_video_has_no_place_for_is_named(tmp_path: Path) -> None:
    burst(tmp_path / "in", [6, 6, 1], icc_profile=b"any")
    left = " ".join(str(line) for line in convert(tmp_path / "in", tmp_path / "out.mp4").left_out)
    assert "EXIF" in left
    assert "ICC profile" in left
    assert "another orientation of 1 frame:" in left


def test_lost_transparency_and_depth_are_named(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    gray = draw(0, WIDTH, HEIGHT)[..., 0]
    Image.fromarray(np.dstack([gray, gray]), "LA").save(tmp_path / "in" / "1.png")
    Image.fromarray(gray.astype(np.uint16) * 257).save(tmp_path / "in" / "2.png")
    changed = " ".join(str(line) for line in convert(tmp_path / "in", tmp_path / "out.mp4").changed)
    assert "transparency" in changed
    assert "16 bits are written as 10" in changed
