"""Transparency: kept where the output's codec has a place for it, named where it is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from video_clips import copy

from selfhvd_cli.video.probe import probe

WIDTH, HEIGHT = 64, 48


def alpha_of(picture: av.VideoFrame) -> np.ndarray:
    plane = picture.planes[3]
    return np.frombuffer(plane, np.uint16).reshape(plane.height, -1)[:, : plane.width].astype(int)


def clear_to_opaque(path: Path, codec: str, pixel_format: str) -> Path:
    """Three frames, transparent at the left, opaque at the right."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixel_format
        for index in range(3):
            picture = av.VideoFrame(WIDTH, HEIGHT, pixel_format)
            for number, plane in enumerate(picture.planes):
                row = np.zeros(plane.line_size // 2, np.uint16)
                row[: plane.width] = np.linspace(0, 1000, plane.width) if number == 3 else 400 + 10 * index
                plane.update(np.tile(row, plane.height).tobytes())
            picture.pts = index
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("codec", "like", "name"), [("prores_ks", "prores", "in.mov"), ("ffv1", "ffv1", "in.mkv")])
def test_transparency_and_its_codec_stay(tmp_path: Path, codec: str, like: str, name: str) -> None:
    source = clear_to_opaque(tmp_path / name, codec, "yuva444p10le")
    target = source.with_stem("out")
    copy(source, target)
    assert probe(target).codec == like
    with av.open(str(source)) as before, av.open(str(target)) as after:
        for old, new in zip(before.decode(video=0), after.decode(video=0), strict=True):
            assert np.array_equal(alpha_of(old), alpha_of(new))


def test_transparency_that_no_decoder_gives_is_named(clip: Callable[..., Path]) -> None:
    options = {"deadline": "realtime", "cpu-used": "8"}
    source = clip("in.webm", frames=3, sound=False, codec="libvpx-vp9", pixel_format="yuva420p", options=options)
    assert probe(source).alpha_beside
    receipt = copy(source, source.with_stem("out")).as_dict()
    assert "transparency" in {line["what"] for line in receipt["left_out"]}
    assert not probe(source.with_stem("out")).alpha_beside


def test_other_clips_hear_nothing_of_transparency(clip: Callable[..., Path]) -> None:
    source = clip("in.mp4", frames=3, sound=False)
    assert "transparency" not in str(copy(source, source.with_stem("out")).as_dict())
