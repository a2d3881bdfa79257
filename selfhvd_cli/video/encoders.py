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
from selfhvd_cli.video.info import FULL_RANGE, UNSPECIFIED, ColorTags, VideoInfo
from selfhvd_cli.video.pixel_formats import RGB_MATRIX, becomes_yuv, is_transparent, nearest_format, planar_format
from selfhvd_cli.video.priority import priority_kept
from selfhvd_cli.video.software_encoders import X26X_PRESETS, software_options

log = logging.getLogger(__name__)

CHOICES = ("h264", "hevc", "av1", "prores", "ffv1")
"""What `--codec` takes."""


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

CANNOT_HOLD = "cannot hold"
"""What tells the encoders that a container has no place for from those that do not open."""

UNFIT: Mapping[str, frozenset[str]] = {
    "avi": frozenset(("h264", "hevc", "av1", "vp9", "prores")),
    "mov": frozenset(("av1", "vp9")),
    "mpegts": frozenset(("av1", "vp9", "mjpeg", "prores", "ffv1")),
}
"""Codecs that FFmpeg adds to a container, but then refuses, or reads back with wrong times or not at all."""

EVEN_ONLY = ("libx264", "libx265")
"""Encoders that take odd sizes only without subsampled chroma."""

ENOUGH_BITS = 10
"""A source of more bits keeps its codec rather than all of them: FFmpeg decodes ProRes 4444 to 12 bits and encodes
10, and who cuts ProRes wants ProRes back. Fewer would show in HDR."""

QUALITY_OPTIONS = frozenset(("crf", "cq", "global_quality", "qp_i"))
SPEED_OPTIONS = frozenset(("preset", "cpu-used"))
"""What encoders call their `--crf` and `--preset`."""


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

    ignored: tuple[str, ...] = ()
    """Flags that were given and have no effect with this encoder."""


def plan_encoders(like: VideoInfo, encoding: Encoding, muxer: str) -> Iterator[EncoderPlan]:
    """The encoders to try for a container, best first, those that would lose a bit depth people see last.

    The writer takes the first that opens.
    """
    families = [first_family(like, encoding), *([] if encoding.codec else FALLBACKS)]
    plans = list(_plans(like, encoding, muxer, list(dict.fromkeys(families))))
    yield from sorted(plans, key=lambda plan: _bits(plan.pixel_format) < min(like.bit_depth, ENOUGH_BITS))


def first_family(like: VideoInfo, encoding: Encoding) -> str:
    """The codec to write: the one asked for, or else the nearest to the source's."""
    return encoding.codec or LIKE.get(like.codec, "h264")


def _plans(like: VideoInfo, encoding: Encoding, muxer: str, families: list[str]) -> Iterator[EncoderPlan]:
    for family in families:
        row = FAMILIES[family]
        if encoding.crf is not None and row.crf is not None and encoding.crf > row.largest_crf:
            if family != families[0]:
                continue  # nobody asked for it
            raise UsageFault(f"--crf {encoding.crf}: {family} takes 0 (best) to {row.largest_crf}.")
        names = (*row.hardware, row.software) if encoding.hardware else (row.software,)
        for name in names:
            if (plan := _plan(like, encoding, family, name, muxer)) is not None:
                yield plan
                if name.endswith(VIDEOTOOLBOX):  # which has constant quality on Apple silicon only
                    options = bit_rate_options(like)
                    yield replace(plan, options=options, ignored=_ignored(encoding, options))


def open_test(plan: EncoderPlan, width: int, height: int, time_base: Fraction) -> str | None:
    """Encode two real frames; None if that works, else why not. A driver may list an encoder that then refuses."""
    os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 writes its settings to stderr otherwise
    try:
        context = Codec(plan.encoder, "w").create("video")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height, context.pix_fmt = width, height, plan.pixel_format
        context.time_base, context.framerate = time_base, Fraction(30)
        context.options = dict(plan.options)
        with priority_kept():
            context.open()
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
    if encoding.codec is not None and any(CANNOT_HOLD in each for each in tried):
        return UsageFault(f"--codec {encoding.codec}: {why}. Write to a .mkv file, or choose another codec.")
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
    if is_transparent(like.pixel_format) and not is_transparent(pixel_format):
        notes.append(f"transparency has no place in {pixel_format}")
    if like.container == "frames" and (bits := _bits(pixel_format)) < like.bit_depth:
        notes.append(f"{like.bit_depth} bits are written as {bits}")
    options = _options(like, encoding, family, encoder, pixel_format)
    tag = FAMILIES[family].tag if muxer in ("mp4", "mov", "3gp") else None
    if family == "h264" and like.codec_tag == "avc3" and tag:
        tag = "avc3"
    return EncoderPlan(family, encoder, pixel_format, color, options, tag, tuple(notes), _ignored(encoding, options))


def _ignored(encoding: Encoding, options: Mapping[str, str]) -> tuple[str, ...]:
    asked = {"--crf": (encoding.crf, QUALITY_OPTIONS), "--preset": (encoding.preset, SPEED_OPTIONS)}
    return tuple(flag for flag, (value, names) in asked.items() if value is not None and not names & options.keys())


def _bits(name: str) -> int:
    return VideoFormat(name).components[0].bits


def _color(like: VideoInfo, pixel_format: str) -> ColorTags:
    """The tags of the output: those of the source. Where RGB becomes YUV the conversion is BT.709, and says so; so
    does the range of grey that had been RGB."""
    tags = like.color
    if becomes_yuv(like.pixel_format, tags.matrix, pixel_format):
        return ColorTags(
            tags.primaries if tags.primaries != 2 else 1, tags.transfer if tags.transfer != 2 else 1, 1, 1
        )
    if tags.matrix == RGB_MATRIX and planar_format(pixel_format).startswith("gray"):
        return ColorTags(tags.primaries, tags.transfer, UNSPECIFIED, FULL_RANGE)
    if like.pixel_format.startswith("yuvj"):
        return ColorTags(tags.primaries, tags.transfer, tags.matrix, FULL_RANGE)
    return tags


def _options(like: VideoInfo, encoding: Encoding, family: str, encoder: str, pixel_format: str) -> dict[str, str]:
    row = FAMILIES[family]
    preset = encoding.preset or "medium"
    if encoder == row.software:
        return software_options(encoder, like, pixel_format, preset, encoding.crf, row.crf)
    crf = row.crf if encoding.crf is None else encoding.crf
    return quality_options(encoder, 19 if crf is None else max(1, crf), preset)
