"""Which encoder writes a video, with what quality and pixel format: chosen like the source unless asked otherwise."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

import av
from av.codec.codec import Codec
from av.video.codeccontext import VideoCodecContext
from av.video.format import VideoFormat

from selfhvd_cli.errors import EnvironmentFault, UsageFault
from selfhvd_cli.video.hardware_encoders import VIDEOTOOLBOX, bit_rate_options, quality_options
from selfhvd_cli.video.hdr import svtav1_parameters, x26x_parameters
from selfhvd_cli.video.info import FULL_RANGE, ColorTags, VideoInfo
from selfhvd_cli.video.pixel_formats import nearest_format

log = logging.getLogger(__name__)

CHOICES = ("h264", "hevc", "av1", "prores", "ffv1")
"""What `--codec` takes."""

X26X_PRESETS = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo",
)  # fmt: skip


@dataclass(frozen=True)
class Encoding:
    """How the output is to be encoded; None means: like the source."""

    codec: str | None = None
    """One of `CHOICES`."""

    crf: int | None = None
    """Constant quality on the encoder's own scale, smaller is better; without it the quality is visually lossless
    within three times the source's bit rate."""

    preset: str | None = None
    """Speed of the encoder, x264's names for all."""

    hardware: bool = False
    """Use a hardware encoder where one opens; otherwise the software one."""

    def __post_init__(self) -> None:
        if self.codec is not None and self.codec not in CHOICES:
            raise UsageFault(f"--codec {self.codec}: choose one of {', '.join(CHOICES)}.")
        if self.preset is not None and self.preset not in X26X_PRESETS:
            raise UsageFault(f"--preset {self.preset}: choose one of {', '.join(X26X_PRESETS)}.")
        if self.crf is not None and not 0 <= self.crf <= 63:
            raise UsageFault(f"--crf {self.crf}: choose a number from 0 (best) to 51, or to 63 for av1.")


@dataclass(frozen=True)
class Family:
    """A codec and the encoders for it."""

    software: str
    hardware: tuple[str, ...] = ()
    crf: int | None = None
    """Visually lossless on this encoder's scale; None for encoders without such a scale."""

    largest_crf: int = 51
    tag: str | None = None
    """Four letters in mp4 and mov files."""


FAMILIES: Mapping[str, Family] = {
    "h264": Family("libx264", ("h264_nvenc", "h264_videotoolbox", "h264_qsv", "h264_amf"), crf=17, tag="avc1"),
    "hevc": Family("libx265", ("hevc_nvenc", "hevc_videotoolbox", "hevc_qsv", "hevc_amf"), crf=19, tag="hvc1"),
    "av1": Family("libsvtav1", ("av1_nvenc", "av1_qsv", "av1_amf"), crf=23, largest_crf=63, tag="av01"),
    "vp9": Family("libvpx-vp9", crf=20, largest_crf=63),
    "mpeg4": Family("mpeg4"),
    "mjpeg": Family("mjpeg"),
    "prores": Family("prores_ks"),
    "ffv1": Family("ffv1"),
}

LIKE: Mapping[str, str] = {
    **{name: name for name in FAMILIES if name != "mpeg4"},
    "vvc": "hevc",
    "vp8": "vp9",
    "dnxhd": "prores",
    "jpegls": "ffv1",
    "huffyuv": "ffv1",
    "ffvhuff": "ffv1",
    "utvideo": "ffv1",
    "magicyuv": "ffv1",
    "rawvideo": "ffv1",
    "v210": "ffv1",
}
"""The nearest codec worth writing for a source codec; those not named here become h264."""

FALLBACKS = ("h264", "hevc", "vp9", "av1", "mpeg4", "mjpeg")
"""Tried in turn where the container cannot hold the first choice."""

UNFIT: Mapping[str, frozenset[str]] = {"avi": frozenset(("h264", "hevc", "av1", "vp9", "prores"))}
"""Codecs that FFmpeg puts into a container, but reads back with wrong times."""

EVEN_ONLY = ("libx264", "libx265")
"""Encoders that take odd sizes only without subsampled chroma."""

ENOUGH_BITS = 10
"""A source of more bits keeps its codec rather than all of them: FFmpeg decodes ProRes 4444 to 12 bits and encodes
10, and who cuts ProRes wants ProRes back. Fewer would show in HDR."""

BIT_RATE_BOUND = 3
"""A sharp picture needs more bits than a blurred one, but an output ten times the source's size helps nobody."""

SMALLEST_BOUND = 1_000_000

X265_SHARP = "sao=0"
"""Without the offsets by which x265 smooths what it has coded: of the fine detail of four phone clips (variance of
the Laplacian) 74 to 96 % are left in place of 64 to 94, at the same size, for 0.25 dB of PSNR. Two steps of `crf` are
worth less on three of them, and take a third more."""

VPX_SPEEDS = {name: str(max(0, 5 - index // 2)) for index, name in enumerate(X26X_PRESETS)}
SVT_PRESETS = {name: str(max(2, 11 - index)) for index, name in enumerate(X26X_PRESETS)}

H264_PROFILES = {"Baseline": "baseline", "Constrained Baseline": "baseline", "Main": "main", "High": "high"}
PRORES_PROFILES = {"Proxy": "0", "LT": "1", "Standard": "2", "HQ": "3", "4444": "4", "XQ": "5"}


@dataclass(frozen=True)
class EncoderPlan:
    """Everything needed to open an encoder."""

    family: str
    encoder: str
    pixel_format: str
    color: ColorTags
    options: Mapping[str, str]
    tag: str | None = None
    notes: tuple[str, ...] = field(default=())
    """What the receipt says about the choice."""


def plan_encoders(like: VideoInfo, encoding: Encoding, muxer: str) -> Iterator[EncoderPlan]:
    """The encoders to try for a container, best first, those that would lose a bit depth people see last.

    The writer takes the first that opens.
    """
    families = [encoding.codec] if encoding.codec else [LIKE.get(like.codec, "h264"), *FALLBACKS]
    plans = list(_plans(like, encoding, muxer, list(dict.fromkeys(families))))
    yield from sorted(plans, key=lambda plan: _bits(plan.pixel_format) < min(like.bit_depth, ENOUGH_BITS))


def _plans(like: VideoInfo, encoding: Encoding, muxer: str, families: list[str]) -> Iterator[EncoderPlan]:
    for family in families:
        row = FAMILIES[family]
        if encoding.crf is not None and row.crf is not None and encoding.crf > row.largest_crf:
            raise UsageFault(f"--crf {encoding.crf}: {family} takes 0 (best) to {row.largest_crf}.")
        names = (*row.hardware, row.software) if encoding.hardware else (row.software,)
        for name in names:
            if (plan := _plan(like, encoding, family, name, muxer)) is not None:
                yield plan
                if name.endswith(VIDEOTOOLBOX):  # which has constant quality on Apple silicon only
                    yield replace(plan, options=bit_rate_options(like))


def open_test(plan: EncoderPlan, width: int, height: int, time_base: Fraction) -> str | None:
    """Encode two real frames; None if that works, else why not. A driver may list an encoder that then refuses."""
    os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 writes its settings to stderr otherwise
    try:
        context = Codec(plan.encoder, "w").create("video")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height, context.pix_fmt = width, height, plan.pixel_format
        context.time_base, context.framerate = time_base, Fraction(30)
        context.options = dict(plan.options)
        step = max(1, round(1 / (30 * time_base)))
        packets = []
        for index in range(2):
            frame = av.VideoFrame(width, height, plan.pixel_format)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))  # x264 aborts on codes above 10 bits, which fresh memory holds
            frame.pts, frame.time_base = index * step, time_base
            packets += context.encode(frame)
        packets += context.encode(None)
    except (av.FFmpegError, ValueError, RuntimeError, OSError) as fault:
        return str(getattr(fault, "strerror", None) or fault)
    return None if packets else "it gave no data"


def refuse_unavailable(encoding: Encoding, muxer: str, tried: list[str]) -> EnvironmentFault | UsageFault:
    """The fault for a request that no encoder meets."""
    why = "; ".join(tried) or "none is built in"
    if encoding.codec is not None and any("cannot hold" in each for each in tried):
        return UsageFault(f"--codec {encoding.codec}: {why}. Write to a .mkv or .mov file, or choose another codec.")
    return EnvironmentFault(f"no video encoder for {muxer} works here ({why}); see selfhvd doctor.")


def _plan(like: VideoInfo, encoding: Encoding, family: str, encoder: str, muxer: str) -> EncoderPlan | None:
    try:
        codec = Codec(encoder, "w")
    except ValueError:
        return None
    formats = [each.name for each in codec.video_formats or []]
    wanted = like.planar_format
    if like.container == "frames" and family in ("h264", "hevc", "av1", "vp9", "mjpeg"):
        wanted = "yuv420p10le" if like.bit_depth > 8 else "yuv420p"
    if encoder in EVEN_ONLY and (like.width % 2 or like.height % 2):
        formats = [each for each in formats if "42" not in each and not each.startswith("nv")]
    pixel_format = nearest_format(wanted, formats)
    if pixel_format is None:
        return None
    color = _color(like, pixel_format)
    notes = []
    if family != like.codec and encoding.codec is None and like.container != "frames":
        notes.append(f"{like.codec} is written as {family}")
    if pixel_format.replace("yuvj", "yuv") != wanted.replace("yuvj", "yuv"):
        notes.append(f"pixel format {like.pixel_format} is written as {pixel_format}")
    options = _options(like, encoding, family, encoder, pixel_format)
    tag = FAMILIES[family].tag if muxer in ("mp4", "mov", "3gp") else None
    if family == "h264" and like.codec_tag == "avc3" and tag:
        tag = "avc3"
    return EncoderPlan(family, encoder, pixel_format, color, options, tag, tuple(notes))


def _bits(name: str) -> int:
    return VideoFormat(name).components[0].bits


def _color(like: VideoInfo, pixel_format: str) -> ColorTags:
    """The tags of the output: those of the source. Where RGB becomes YUV the conversion is BT.709, and says so."""
    tags = like.color
    to_yuv = VideoFormat(like.pixel_format).is_rgb and not VideoFormat(pixel_format).is_rgb
    if to_yuv:
        return ColorTags(
            tags.primaries if tags.primaries != 2 else 1, tags.transfer if tags.transfer != 2 else 1, 1, 1
        )
    if like.pixel_format.startswith("yuvj"):
        return ColorTags(tags.primaries, tags.transfer, tags.matrix, FULL_RANGE)
    return tags


def _options(like: VideoInfo, encoding: Encoding, family: str, encoder: str, pixel_format: str) -> dict[str, str]:
    row = FAMILIES[family]
    crf = row.crf if encoding.crf is None else encoding.crf
    preset = encoding.preset or "medium"
    options: dict[str, str] = {}
    if encoder == "libx264":
        options = {"crf": str(crf), "preset": preset, **_bounded(like, encoding)}
        extra = x26x_parameters(like.hdr_metadata, "mastering-display", "cll")
        profile = H264_PROFILES.get(like.profile or "")
        if profile and pixel_format in ("yuv420p", "yuvj420p") and not like.interlaced and crf:
            options["profile"] = profile
        if like.interlaced:
            options["flags"] = "+ildct+ilme"
        if extra:
            options["x264-params"] = ":".join(extra)
    elif encoder == "libx265":
        options = {"crf": str(crf), "preset": preset, **_bounded(like, encoding)}
        extra = ["log-level=error", X265_SHARP, *x26x_parameters(like.hdr_metadata, "master-display", "max-cll")]
        if like.hdr is not None:
            extra.append("repeat-headers=1")
        options["x265-params"] = ":".join(extra)
    elif encoder == "libsvtav1":
        options = {"crf": str(crf), "preset": SVT_PRESETS[preset], **_bounded(like, encoding)}
        extra = svtav1_parameters(like.hdr_metadata)
        if extra:
            options["svtav1-params"] = ":".join(extra)
    elif encoder == "libvpx-vp9":
        options = {"crf": str(crf), "b": "0", "cpu-used": VPX_SPEEDS[preset], "row-mt": "1"}
    elif encoder == "mjpeg":
        options = {"qmin": "2", "qmax": "2", "strict": "unofficial"}
    elif encoder == "mpeg4":
        options = {"qmin": "2", "qmax": "2", "bf": "0"}
    elif encoder == "prores_ks":
        profile = PRORES_PROFILES.get(like.profile or "", "4" if "444" in pixel_format else "3")
        options = {"profile": profile if like.codec == "prores" else ("4" if "444" in pixel_format else "3")}
    elif encoder == "ffv1":
        options = {"level": "3", "slices": "4", "slicecrc": "1"}
    else:
        options = quality_options(encoder, 19 if crf is None else max(1, crf), preset)
    return options


def _bounded(like: VideoInfo, encoding: Encoding) -> dict[str, str]:
    """A bit rate bound, only for the quality we choose ourselves."""
    if encoding.crf is not None or not like.bit_rate:
        return {}
    bound = max(SMALLEST_BOUND, BIT_RATE_BOUND * like.bit_rate)
    return {"maxrate": str(bound), "bufsize": str(2 * bound)}
