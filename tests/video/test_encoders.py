"""Encoders: what is asked of them reaches them."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from av.codec.codec import Codec
from av.video.codeccontext import VideoCodecContext
from video_clips import copy

from selfhvd_cli.errors import UsageFault
from selfhvd_cli.video import encoders as encoders_module
from selfhvd_cli.video.encoders import CHOICES, EncoderPlan, Encoding, open_test, plan_encoders
from selfhvd_cli.video.hardware_encoders import bit_rate_options
from selfhvd_cli.video.probe import probe
from selfhvd_cli.video.reader import open_reader
from selfhvd_cli.video.writing import open_writer


def plans(source: Path, encoding: Encoding, muxer: str = "mp4") -> list[EncoderPlan]:
    return list(plan_encoders(probe(source), encoding, muxer))


@pytest.fixture
def on_a_mac(monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder that obeys the same options of libavcodec stands in for the one that only Macs have."""
    monkeypatch.setattr(
        encoders_module, "Codec", lambda name, mode: Codec("mpeg4" if "videotoolbox" in name else name, mode)
    )


def opened(plan: EncoderPlan) -> VideoCodecContext:
    """The plan's encoder, or the stand-in for it, ready for pictures."""
    context = encoders_module.Codec(plan.encoder, "w").create("video")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = 320, 240, plan.pixel_format
    context.time_base, context.options = Fraction(1, 30), dict(plan.options)
    context.open()
    return context


@pytest.mark.usefixtures("on_a_mac")
def test_a_mac_encodes_in_the_quality_that_was_asked_for(clip: Callable[..., Path]) -> None:
    source = clip("in.mp4", frames=2, sound=False)
    qualities = []
    for crf in (45, None, 5):
        found = plans(source, Encoding(codec="h264", crf=crf, hardware=True))
        encoder = opened(next(plan for plan in found if plan.encoder == "h264_videotoolbox"))
        assert encoder.qscale
        assert not encoder.options, "the encoder does not know these"
        qualities.append(encoder.global_quality)  # of 100
    assert 1 <= qualities[0] < 50 < qualities[1] < 80 < qualities[2] <= 100


@pytest.mark.usefixtures("on_a_mac")
def test_a_mac_without_constant_quality_encodes_at_a_bit_rate_like_the_source(clip: Callable[..., Path]) -> None:
    source = clip("in.mp4", frames=20, size=(640, 480), sound=False, options={"crf": "0"})
    rate = probe(source).bit_rate
    assert rate is not None
    found = [
        plan for plan in plans(source, Encoding(codec="hevc", hardware=True)) if plan.encoder == "hevc_videotoolbox"
    ]
    assert len(found) == 2
    assert rate <= int(found[1].options["b"]) <= 2.5 * rate


@pytest.mark.parametrize("encoder", ["h264_nvenc", "h264_qsv", "h264_amf"])
def test_the_best_quality_is_no_middling_one_in_hardware(clip: Callable[..., Path], encoder: str) -> None:
    try:
        Codec(encoder, "w")
    except ValueError:
        pytest.skip("not in this build of FFmpeg")
    source = clip("in.mp4", frames=2, sound=False)
    best, second = (
        next(
            plan for plan in plans(source, Encoding(codec="h264", crf=crf, hardware=True)) if plan.encoder == encoder
        )
        for crf in (0, 1)
    )
    assert best.options == second.options  # to some of them 0 means "automatic"


def test_a_bit_rate_that_no_container_says_follows_from_the_size(clip: Callable[..., Path]) -> None:
    info = replace(probe(clip("in.mp4", frames=2, sound=False)), bit_rate=None, width=1920, height=1080)
    assert 10e6 < int(bit_rate_options(replace(info, frame_rate=Fraction(30)))["b"]) < 50e6


@pytest.mark.parametrize(("codec", "name"), [("libsvtav1", "av1"), ("libvpx-vp9", "vp9")])
def test_a_quality_beyond_the_scale_of_others_is_taken_by_codecs_with_a_longer_one(
    clip: Callable[..., Path], codec: str, name: str
) -> None:
    source = clip("in.mkv", frames=4, size=(128, 96), sound=False, codec=codec, time_base=Fraction(1, 1000))
    target = source.with_name("out.mkv")
    copy(source, target, Encoding(crf=60, preset="ultrafast"))
    assert probe(target).codec == name


@pytest.mark.parametrize("megabits", [8, 40, 400, 2000])
@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_a_source_of_any_bit_rate_becomes_any_codec(clip: Callable[..., Path], codec: str, megabits: int) -> None:
    info = replace(probe(clip("in.mov", frames=2, sound=False)), bit_rate=megabits * 1_000_000)
    (plan,) = plan_encoders(info, Encoding(codec=codec), "mp4")
    assert open_test(plan, 128, 96, info.time_base) is None
    assert ("maxrate" in plan.options) == (megabits == 8 or (megabits == 40 and codec != "av1"))


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p16le"])
@pytest.mark.parametrize("size", [(1920, 1080), (4096, 2304), (7680, 4320)])
def test_ffv1_takes_pictures_of_any_size(clip: Callable[..., Path], size: tuple[int, int], pixel_format: str) -> None:
    width, height = size
    info = replace(probe(clip("in.mkv", frames=1, sound=False)), width=width, height=height)
    (plan,) = plan_encoders(info, Encoding(codec="ffv1"), "matroska")
    context = Codec(plan.encoder, "w").create("video")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt, context.time_base = width, height, pixel_format, info.time_base
    context.options = dict(plan.options)
    context.open()


def test_a_quality_beyond_the_scale_of_its_codec_is_refused(clip: Callable[..., Path]) -> None:
    source = clip("in.mp4", frames=2, sound=False)
    with pytest.raises(UsageFault, match=r"--crf 52: h264 takes 0 \(best\) to 51"):
        plans(source, Encoding(crf=52))


SOURCES = {
    "prores": {"name": "a.mov", "codec": "prores_ks", "pixel_format": "yuv422p10le"},
    "ffv1": {"name": "a.mkv", "codec": "ffv1"},
    "mjpeg": {"name": "a.avi", "codec": "mjpeg", "pixel_format": "yuvj420p"},
    "vp9": {"name": "a.webm", "codec": "libvpx-vp9"},
}


@pytest.mark.parametrize("codec", SOURCES)
@pytest.mark.parametrize("ending", ["mov", "ts"])
def test_a_codec_that_a_container_does_not_give_back_becomes_another(
    clip: Callable[..., Path], codec: str, ending: str
) -> None:
    source = clip(frames=4, sound=False, **SOURCES[codec])
    target = source.with_name(f"out.{ending}")
    receipt = copy(source, target)
    refused = f"cannot hold {codec}" in str(receipt)
    assert probe(target).codec == ("h264" if refused else codec)


def test_only_the_codec_of_the_source_is_said_to_have_no_place(clip: Callable[..., Path]) -> None:
    source = clip("a.mp4", frames=2, size=(128, 128), sound=False)
    receipt = copy(source, source.with_name("out.webm"))
    assert [line.reason for line in receipt.notes if line.what == "encoder"] == ["webm cannot hold h264"]


@pytest.mark.parametrize("codec", CHOICES)
@pytest.mark.parametrize("ending", ["mp4", "mov", "3gp", "mkv", "webm", "avi", "ts"])
def test_a_codec_that_is_asked_for_comes_back_or_is_refused_at_once(
    clip: Callable[..., Path], codec: str, ending: str
) -> None:
    source = clip("a.mp4", frames=2, size=(128, 128), sound=False)
    target, refusal = source.with_name(f"out.{ending}"), ""
    with open_reader(source) as reader:
        try:
            with open_writer(target, reader.info, Encoding(codec=codec, preset="ultrafast")) as writer:
                for frame in reader:
                    writer.write(frame)
        except UsageFault as fault:
            refusal = fault.message
    if target.exists():
        assert probe(target).codec == codec
    else:
        assert f"cannot hold {codec}. Write to a .mkv file" in refusal
        assert ending != "mkv"


@pytest.mark.parametrize(("codec", "quicktime"), [("av1", False), ("hevc", True)])
def test_a_quicktime_file_called_mp4_becomes_one_where_the_codec_asks_for_it(
    clip: Callable[..., Path], codec: str, quicktime: bool
) -> None:
    recording = clip("a.mov", frames=2, size=(128, 128))
    source = recording.rename(recording.with_suffix(".mp4"))
    target = source.with_name("out.mp4")
    copy(source, target, Encoding(codec=codec))
    assert probe(target).codec == codec
    assert (b"qt  " in target.read_bytes()[:16]) == quicktime


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="only Linux lists open files there")
@pytest.mark.parametrize(("name", "codec"), [("out.webm", None), ("out.mp4", "prores")])
def test_what_was_tried_in_vain_is_closed(clip: Callable[..., Path], name: str, codec: str | None) -> None:
    source = clip("a.mp4", frames=2)
    gc.collect()
    gc.disable()
    try:
        before = os.listdir("/proc/self/fd")
        with contextlib.suppress(UsageFault):
            copy(source, source.with_name(name), Encoding(codec=codec, preset="ultrafast"))
        assert len(os.listdir("/proc/self/fd")) <= len(before)
    finally:
        gc.enable()
