"""Planes on a device: the RGB and the changed codes that the processor computes of the same picture."""

from __future__ import annotations

import pickle

import av
import pytest
import torch
from imaginary_device import Distant, imaginary_device
from test_pixels import FORMATS, noise

from selfhvd_cli.ops.transfer import to_host
from selfhvd_cli.video.codes import Codes, codes_of
from selfhvd_cli.video.pixels import Signal, add_change, planes_of, to_rgb

SHALLOW = [name for name in FORMATS if "16" not in name]

SIGNALS = [Signal(1), Signal(9, full_range=True), Signal(5, left_sited=False)]


def there_and_back(name: str, signal: Signal, size: tuple[int, int], strength: float) -> tuple[torch.Tensor, Codes]:
    """RGB and codes, changed by so much noise, as a device computes them."""
    codes = codes_of(noise(*size, name), signal)
    assert codes is not None
    with imaginary_device() as device:
        there = codes.to(device)
        rgb = there.rgb()
        changed = there.changed(rgb, rgb + strength * wave(size).to(device))
        assert isinstance(rgb, Distant)
        assert isinstance(changed.flat, Distant)
        return rgb.cpu(), Codes(codes.layout, codes.size, signal, *to_host([changed.flat]))


def wave(size: tuple[int, int]) -> torch.Tensor:
    return torch.rand(3, size[1], size[0], generator=torch.Generator().manual_seed(1)) - 0.5


@pytest.mark.parametrize("name", SHALLOW)
@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("size", [(64, 48), (33, 21), (1, 1), (66, 130)])
def test_the_device_computes_what_the_processor_does(name: str, signal: Signal, size: tuple[int, int]) -> None:
    picture = noise(*size, name)
    expected = to_rgb(picture, signal)
    rgb, changed = there_and_back(name, signal, size, 0.4)
    assert float((rgb - expected).abs().max()) < 1e-5
    add_change(picture, expected, expected + 0.4 * wave(size), signal)
    for plane, other in zip(changed.planes(), planes_of(picture), strict=False):
        # A sum that lies between two codes may be rounded to either.
        off = (plane.int() - other.int()).abs()
        assert int(off.max()) <= 1
        assert float(off.float().mean()) < 0.002


@pytest.mark.parametrize("name", SHALLOW)
@pytest.mark.parametrize("signal", SIGNALS)
def test_an_unchanged_picture_keeps_every_code(name: str, signal: Signal) -> None:
    _, changed = there_and_back(name, signal, (33, 21), 0.0)
    picture, target = noise(33, 21, name), noise(33, 21, name, seed=5)
    changed.write_into(target)
    colours = len(changed.planes())
    assert all(
        torch.equal(one, two) for one, two in zip(planes_of(target)[:colours], planes_of(picture), strict=False)
    )


def test_transparency_is_left_alone() -> None:
    _, changed = there_and_back("yuva420p", Signal(1), (32, 16), 0.4)
    target = noise(32, 16, "yuva420p", seed=5)
    before = planes_of(target)[3].clone()
    changed.write_into(target)
    assert torch.equal(planes_of(target)[3], before)


@pytest.mark.parametrize("failed", ["nan", "inf"])
def test_a_restoration_that_failed_leaves_the_picture(failed: str) -> None:
    _, changed = there_and_back("yuv420p", Signal(1), (32, 16), float(failed))
    assert all(torch.equal(*pair) for pair in zip(changed.planes(), planes_of(noise(32, 16, "yuv420p")), strict=True))


def test_packed_pixels_are_put_in_planes_first() -> None:
    picture = noise(32, 16, "yuv420p")
    codes = codes_of(picture.reformat(format="nv12"), Signal(1))
    assert codes is not None
    assert all(torch.equal(*pair) for pair in zip(codes.planes(), planes_of(picture), strict=True))


@pytest.mark.parametrize("name", ["yuv420p", "yuv411p", "yuv444p10le", "gray", "gbrp"])
def test_a_thinned_picture_is_the_picture(name: str) -> None:
    height, width = 131, 200
    across = torch.linspace(0.1, 0.9, width).expand(3, height, width)
    picture = av.VideoFrame(width, height, name)
    for plane in planes_of(picture):
        plane.fill_(0 if name == "gbrp" else 512 if "10" in name else 128)
    add_change(picture, to_rgb(picture, Signal(1)), across, Signal(1))
    codes = codes_of(picture, Signal(1))
    assert codes is not None
    for step in (1, 2, 5):
        thin = codes.thin(step).rgb()
        assert thin.shape[1] == height or abs(thin.shape[1] - height / step) <= height / step / 4 + 1
        assert torch.allclose(thin[:, 3], torch.linspace(0.1, 0.9, thin.shape[2]).expand(3, -1), atol=0.03)


def test_codes_too_deep_for_a_device_are_left_to_the_processor() -> None:
    assert codes_of(noise(32, 16, "yuv420p16le"), Signal(1)) is None


def test_codes_reach_another_process() -> None:
    codes = codes_of(noise(33, 21, "yuv420p10le"), Signal(9))
    assert codes is not None
    again: Codes = pickle.loads(pickle.dumps(codes))
    assert torch.equal(again.rgb(), codes.rgb())
