"""Options of the hardware encoders, each with quality and speed on a scale of its own."""

from __future__ import annotations

from collections.abc import Mapping

from selfhvd_cli.video.info import VideoInfo

NVENC_PRESETS: Mapping[str, str] = {
    "ultrafast": "p1",
    "superfast": "p1",
    "veryfast": "p2",
    "faster": "p3",
    "fast": "p4",
    "medium": "p5",
    "slow": "p6",
    "slower": "p7",
    "veryslow": "p7",
    "placebo": "p7",
}

VIDEOTOOLBOX = "_videotoolbox"

QP_TO_LAMBDA = 118
"""What libavcodec multiplies a quality with before an encoder sees it (FF_QP2LAMBDA)."""

MORE_THAN_BLURRED = 2
"""A sharp picture needs more bits than a blurred one."""

MOST_BITS_A_PIXEL = 0.5
"""More cannot be seen: phones spend 0.1 to 0.3."""

SMALLEST_BIT_RATE = 1_000_000


def quality_options(encoder: str, crf: int, preset: str) -> dict[str, str]:
    """Constant quality.

    Args:
        crf: on x264's scale, smaller is better; 0 would mean "automatic" to some.
        preset: x264's name.
    """
    if encoder.endswith("_nvenc"):
        return {"rc": "vbr", "cq": str(crf), "b": "0", "preset": NVENC_PRESETS[preset]}
    if encoder.endswith("_qsv"):
        return {"global_quality": str(crf)}
    if encoder.endswith("_amf"):
        return {"rc": "cqp", "qp_i": str(crf), "qp_p": str(crf)}
    percent = max(1, 100 - 2 * crf)  # larger is better there
    return {"flags": "+qscale", "global_quality": str(QP_TO_LAMBDA * percent)}


def bit_rate_options(like: VideoInfo) -> dict[str, str]:
    """A bit rate near the source's, for what has no constant quality."""
    most = round(like.width * like.height * like.frame_rate * MOST_BITS_A_PIXEL)
    rate = min(most, MORE_THAN_BLURRED * like.bit_rate) if like.bit_rate else most
    return {"b": str(max(SMALLEST_BIT_RATE, rate))}
