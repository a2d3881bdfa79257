"""Folders of grey, palette, deep and mixed pictures: a player shows the colours that were in the files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from selfhvd_cli.errors import InputFault
from selfhvd_cli.video.encoders import Encoding
from selfhvd_cli.video.reader import open_reader
from selfhvd_cli.video.receipt import Receipt
from selfhvd_cli.video.writing import open_writer

SIDE = 16
LOSSLESS = Encoding(crf=0, preset="ultrafast")

GRAY = np.kron(np.array([[0, 90], [194, 255]]), np.ones((SIDE, SIDE))).astype(np.uint8)
COLOUR = np.stack([GRAY, 255 - GRAY, GRAY // 2], -1)


def palette() -> Image.Image:
    picture = Image.fromarray(GRAY).convert("P")
    picture.putdata(list(GRAY.ravel()))
    picture.putpalette([value for code in range(256) for value in (code, 255 - code, code // 2)])
    return picture


def deep(gray: np.ndarray) -> Image.Image:
    return Image.fromarray(gray.astype(np.uint16) * 257)


PICTURES = {
    "gray": lambda: (Image.fromarray(GRAY), GRAY),
    "deep gray": lambda: (deep(GRAY), GRAY),
    "black and white": lambda: (Image.fromarray(GRAY > 100), (GRAY > 100) * 255),
    "gray and alpha": lambda: (Image.fromarray(np.dstack([GRAY, GRAY]), "LA"), GRAY),
    "palette": lambda: (palette(), COLOUR),
    "rgb": lambda: (Image.fromarray(COLOUR), COLOUR),
}


def folder(path: Path, names: Sequence[str], suffix: str = ".png") -> list[np.ndarray]:
    """Write the pictures and give what is to be seen of each, `[H, W, 3]`."""
    path.mkdir()
    seen = []
    for number, name in enumerate(names):
        picture, codes = PICTURES[name]()
        picture.save(path / f"{number}{suffix}")
        seen.append(np.stack([codes] * 3, -1) if codes.ndim == 2 else codes)
    return seen


def convert(source: Path, target: Path, encoding: Encoding = LOSSLESS, tint: float = 0.0) -> Receipt:
    """Through reader and writer, with `tint` added to red and taken from blue; 0 leaves the frames as they are."""
    with open_reader(source) as reader, open_writer(target, reader.info, encoding) as writer:
        for frame in reader:
            restored = frame.rgb().clone() if tint else None
            if restored is not None:
                restored[0] += tint
                restored[2] -= tint
            writer.write(frame, restored)
    return writer.receipt


def centres(picture: np.ndarray) -> np.ndarray:
    """The middle pixel of each patch; at their edges a video's coarser chroma mixes them."""
    return picture[SIDE // 2 :: SIDE, SIDE // 2 :: SIDE]


def shown(path: Path) -> list[np.ndarray]:
    """What a player that heeds the tags shows, `[H, W, 3]`."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    assert {(int(frame.color_range), int(frame.colorspace)) for frame in frames} == {(1, 1)}
    return [frame.to_ndarray(format="rgb24").astype(int) for frame in frames]


@pytest.mark.parametrize(
    "names",
    [
        *((name, name) for name in PICTURES),
        ("black and white", "rgb", "gray"),
        ("palette", "gray and alpha", "deep gray"),
    ],
    ids="+".join,
)
def test_a_player_shows_what_is_in_the_pictures(tmp_path: Path, names: tuple[str, ...]) -> None:
    seen = folder(tmp_path / "in", names)
    convert(tmp_path / "in", tmp_path / "out.mp4")
    for found, codes in zip(shown(tmp_path / "out.mp4"), seen, strict=True):
        assert np.abs(centres(found) - centres(codes)).max() <= 3


def test_grey_tiffs_and_jpegs(tmp_path: Path) -> None:
    for suffix in (".tif", ".jpg"):
        seen = folder(tmp_path / suffix[1:], ["gray", "gray"], suffix)
        convert(tmp_path / suffix[1:], tmp_path / f"{suffix[1:]}.mp4")
        assert np.abs(shown(tmp_path / f"{suffix[1:]}.mp4")[1] - seen[1]).max() <= 4


def test_a_grey_jpeg_among_coloured_ones(tmp_path: Path) -> None:
    seen = folder(tmp_path / "in", ["gray", "rgb", "gray"], ".jpg")
    convert(tmp_path / "in", tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        for frame, codes in zip(container.decode(video=0), seen, strict=True):
            assert (int(frame.color_range), int(frame.colorspace)) == (2, 5)
            assert np.abs(centres(frame.to_ndarray(format="rgb24").astype(int)) - centres(codes)).max() <= 4


def test_grey_stays_grey_whatever_tint_the_network_gives(tmp_path: Path) -> None:
    folder(tmp_path / "in", ["gray", "deep gray"])
    convert(tmp_path / "in", tmp_path / "out.mp4", tint=0.1)
    for picture in shown(tmp_path / "out.mp4"):
        assert np.ptp(picture, axis=-1).max() <= 1


def test_deep_pictures_behind_a_shallow_one_keep_their_depth(tmp_path: Path) -> None:
    folder(tmp_path / "in", ["gray", "deep gray"])
    convert(tmp_path / "in", tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        frames = list(container.decode(video=0))
    for frame in frames:
        assert frame.format.name == "yuv420p10le"
        luma = np.frombuffer(frame.planes[0], np.uint16).reshape(frame.height, -1)[:, : frame.width]
        assert (luma.min(), luma.max()) == (64, 940)


def test_one_picture_in_rgb_among_others_in_yuv_is_refused(tmp_path: Path) -> None:
    folder(tmp_path / "in", ["gray", "rgb", "rgb"], ".jpg")
    Image.fromarray(COLOUR).save(tmp_path / "in" / "2.jpg", keep_rgb=True)
    with pytest.raises(InputFault, match=r"2.jpg: is coded in RGB, others in YUV"):
        open_reader(tmp_path / "in")


def test_transparency_reaches_a_codec_that_holds_it(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(2):
        Image.fromarray(np.dstack([COLOUR, GRAY])).save(tmp_path / "in" / f"{number}.png")
    convert(tmp_path / "in", tmp_path / "out.mov", Encoding(codec="prores"), tint=0.1)
    with av.open(str(tmp_path / "out.mov")) as container:
        frame = next(container.decode(video=0)).reformat(format="yuva444p16le")
    plane = np.frombuffer(frame.planes[3], np.uint16).reshape(2 * SIDE, -1)[:, : 2 * SIDE]
    assert np.abs(plane / 257 - GRAY).max() <= 1
