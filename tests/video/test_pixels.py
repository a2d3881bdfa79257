"""Codes ↔ RGB: exact formulas, exact identity, every format."""

from __future__ import annotations

import av
import numpy as np
import pytest
import torch

from selfhvd_cli.video.pixel_formats import PixelLayout, layout_of, planar_format, widest_format
from selfhvd_cli.video.pixels import Signal, add_change, planes_of, to_format, to_rgb

FORMATS = (
    "yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv440p", "yuv411p", "yuva420p", "yuv420p10le", "yuv422p10le",
    "yuv444p12le", "yuv420p16le", "gbrp", "gbrap", "gbrp10le", "gbrp16le", "gray", "gray10le", "gray16le",
)  # fmt: skip


def noise(width: int, height: int, name: str, seed: int = 0) -> av.VideoFrame:
    """A picture in which every code of the format can occur, also those outside the video range."""
    picture = av.VideoFrame(width, height, name)
    random = np.random.default_rng(seed)
    layout = layout_of(name)
    assert layout is not None
    for plane in planes_of(picture):
        plane.copy_(torch.from_numpy(random.integers(0, layout.top + 1, tuple(plane.shape)).astype(np.int32)))
    return picture


def flat(name: str, codes: tuple[int, int, int]) -> av.VideoFrame:
    picture = av.VideoFrame(16, 16, name)
    for plane, code in zip(planes_of(picture), codes, strict=True):
        plane.fill_(code)
    return picture


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("size", [(64, 48), (33, 21), (1, 1), (66, 130)])
def test_an_unchanged_picture_keeps_every_code(name: str, full: bool, size: tuple[int, int]) -> None:
    picture, signal = noise(*size, name), Signal(1, full)
    before = [plane.clone() for plane in planes_of(picture)]
    rgb = to_rgb(picture, signal)
    assert rgb.shape == (3, size[1], size[0])
    assert rgb.dtype == torch.float32
    assert 0 <= rgb.min() <= rgb.max() <= 1
    add_change(picture, rgb, rgb.clone(), signal)
    assert all(torch.equal(old, new) for old, new in zip(before, planes_of(picture), strict=True))


@pytest.mark.parametrize("failed", ["nan", "inf", "-inf"])
def test_a_restoration_that_failed_leaves_the_picture(failed: str) -> None:
    picture, signal = noise(64, 48, "yuv420p"), Signal(1)
    before = [plane.clone() for plane in planes_of(picture)]
    rgb = to_rgb(picture, signal)
    restored = rgb.clone()
    restored[:, 8:24, 16:40] = float(failed)
    add_change(picture, rgb, restored, signal)
    assert all(torch.equal(old, new) for old, new in zip(before, planes_of(picture), strict=True))


@pytest.mark.parametrize(
    ("name", "signal", "codes", "expected"),
    [
        ("yuv420p", Signal(1), (235, 128, 128), (1, 1, 1)),
        ("yuv420p", Signal(1), (16, 128, 128), (0, 0, 0)),
        ("yuv420p", Signal(1, full_range=True), (255, 128, 128), (1, 1, 1)),
        ("yuv420p", Signal(1), (63, 102, 240), (1, 0, 0)),  # red in BT.709
        ("yuv420p", Signal(5), (81, 90, 240), (1, 0, 0)),  # red in BT.601
        ("yuv420p", Signal(2), (81, 90, 240), (1, 0, 0)),  # untagged: BT.601, as FFmpeg guesses
        ("yuv420p10le", Signal(9), (294, 387, 960), (1, 0, 0)),  # red in BT.2020, 10 bits
        ("yuv444p", Signal(1), (32, 240, 118), (0, 0, 1)),  # blue in BT.709
        ("gbrp", Signal(0), (51, 102, 204), (0.8, 0.2, 0.4)),
        ("gray", Signal(), (51, 51, 51), (0.2, 0.2, 0.2)),
    ],
)
def test_known_colours(
    name: str, signal: Signal, codes: tuple[int, int, int], expected: tuple[float, float, float]
) -> None:
    picture = flat(name, codes) if name != "gray" else flat("gbrp", codes).reformat(format="gray")
    if name == "gray":
        planes_of(picture)[0].fill_(codes[0])
    found = to_rgb(picture, signal)[:, 5, 5]
    assert torch.allclose(found, torch.tensor(expected, dtype=torch.float32), atol=1.6 / 255)


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p10le", "yuv444p", "gbrp", "gray"])
def test_a_brighter_picture_is_brighter_by_that_much(name: str) -> None:
    layout = layout_of(name)
    assert layout is not None
    middle = 1 << (layout.bits - 1)
    signal = Signal(1)
    picture = av.VideoFrame(32, 16, name)
    for plane in planes_of(picture):
        plane.fill_(middle)
    rgb = to_rgb(picture, signal)
    add_change(picture, rgb, rgb + 0.1, signal)
    assert torch.allclose(to_rgb(picture, signal), rgb + 0.1, atol=1 / 255)
    if layout.kind == "yuv":
        assert (planes_of(picture)[1] == middle).all(), "a change of brightness must not touch colour"


def test_a_coloured_change_reaches_chroma_where_it_is() -> None:
    signal = Signal(1)
    picture = av.VideoFrame(32, 32, "yuv420p")
    for plane in planes_of(picture):
        plane.fill_(128)
    rgb = to_rgb(picture, signal)
    redder = rgb.clone()
    redder[0, :, 16:] += 0.2
    add_change(picture, rgb, redder, signal)
    found = to_rgb(picture, signal) - rgb
    assert torch.allclose(found[0, :, 20:], torch.full((32, 12), 0.2), atol=0.01)
    assert found[:, :, :12].abs().max() < 0.01


def test_codes_beyond_white_survive_a_change_elsewhere() -> None:
    signal = Signal(1)
    picture = flat("yuv444p", (250, 128, 128))
    rgb = to_rgb(picture, signal)
    darker = rgb.clone()
    darker[:, :8] -= 0.5
    add_change(picture, rgb, darker, signal)
    assert (planes_of(picture)[0][8:] == 250).all()
    assert (planes_of(picture)[0][:8] < 150).all()


def test_chroma_is_interpolated_where_it_lies() -> None:
    """A ramp in Cr sited left: at even columns red follows the stored sample exactly, between them their mean."""
    picture = av.VideoFrame(32, 4, "yuv420p")
    luma, cb, cr = planes_of(picture)
    luma.fill_(126)
    cb.fill_(128)
    cr.copy_(torch.arange(100, 100 + 16 * 3, 3)[None].expand(2, -1))
    red = to_rgb(picture, Signal(1))[0, 1] * 219 / (2 * (1 - 0.2126)) * 224 / 219
    steps = (red[4:28][1:] - red[4:28][:-1]).numpy()
    assert np.allclose(steps, 1.5, atol=1e-3)
    sited = (to_rgb(picture, Signal(1))[0, 1, 10] - 110 / 219) * 224 / (2 * (1 - 0.2126))
    assert abs(float(sited) - (100 + 5 * 3 - 128)) < 1e-3


@pytest.mark.parametrize(
    ("name", "planar"),
    [
        ("nv12", "yuv420p"),
        ("p010le", "yuv420p10le"),
        ("yuyv422", "yuv422p"),
        ("rgb24", "gbrp"),
        ("rgb48be", "gbrp16le"),
        ("rgba", "gbrap"),
        ("pal8", "gbrp"),
        ("gray16be", "gray16le"),
        ("yuvj422p", "yuvj422p"),
        ("yuv420p10be", "yuv420p10le"),
    ],
)
def test_every_other_format_has_a_planar_one(name: str, planar: str) -> None:
    assert planar_format(name) == planar
    assert layout_of(planar) is not None


def test_rearranging_loses_nothing() -> None:
    picture = av.VideoFrame(64, 48, "nv12")
    random = np.random.default_rng(1)
    for plane in picture.planes:
        plane.update(random.integers(0, 256, plane.buffer_size, dtype=np.uint8).tobytes())
    chroma = np.frombuffer(memoryview(picture.planes[1]), np.uint8).reshape(24, -1)
    for full in (False, True):
        planes = planes_of(to_format(picture, "yuv420p", Signal(1, full)))
        assert (planes[1].numpy() == chroma[:, 0:64:2]).all()
        assert (planes[2].numpy() == chroma[:, 1:64:2]).all()


def test_layouts_are_read_from_ffmpeg() -> None:
    assert layout_of("yuv422p10le") == PixelLayout("yuv", 10, 2, 1, False)
    assert layout_of("yuva444p") == PixelLayout("yuv", 8, 1, 1, True)
    assert layout_of("nv12") is None


@pytest.mark.parametrize(
    ("names", "widest"),
    [
        (("gray",), "gray"),
        (("gray", "rgb24"), "rgb24"),
        (("gray16be", "rgb24"), "rgb48le"),
        (("rgb24", "ya8"), "rgba"),
        (("gray", "yuvj420p", "yuvj422p"), "yuvj422p"),
        (("yuvj440p", "yuvj422p"), "yuvj444p"),
    ],
)
def test_one_format_for_pictures_that_differ(names: tuple[str, ...], widest: str) -> None:
    assert widest_format(names) == widest
