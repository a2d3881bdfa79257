"""Options of the software encoders: quality, speed, and what of the source they are told."""

from __future__ import annotations

from selfhvd_cli.video.hdr import svtav1_parameters, x26x_parameters
from selfhvd_cli.video.info import VideoInfo

X26X_PRESETS = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo",
)  # fmt: skip


BIT_RATE_BOUND = 3
"""A sharp picture needs more bits than a blurred one, but an output ten times the source's size helps nobody."""

SMALLEST_BOUND = 1_000_000

LARGEST_BOUNDS = {"libsvtav1": 100_000_000}
"""What encoders take, in bits a second."""

LARGEST_IN_FOUR = 4096 * 2304
"""Pixels up to which four slices hold what FFV1 takes in one, of any format."""

LARGEST_BUFFER = 2**31 - 1
"""What libavcodec takes for any of them, in bits."""

X265_SHARP = "sao=0"
"""Without the offsets by which x265 smooths what it has coded: of the fine detail of four phone clips (variance of
the Laplacian) 74 to 96 % are left in place of 64 to 94, at the same size, for 0.25 dB of PSNR. Two steps of `crf` are
worth less on three of them, and take a third more."""

VPX_SPEEDS = {name: str(max(0, 5 - index // 2)) for index, name in enumerate(X26X_PRESETS)}
SVT_PRESETS = {name: str(max(2, 11 - index)) for index, name in enumerate(X26X_PRESETS)}

H264_PROFILES = {"Baseline": "baseline", "Constrained Baseline": "baseline", "Main": "main", "High": "high"}
PRORES_PROFILES = {"Proxy": "0", "LT": "1", "Standard": "2", "HQ": "3", "4444": "4", "XQ": "5"}


def software_options(
    encoder: str, like: VideoInfo, pixel_format: str, preset: str, asked_crf: int | None, usual_crf: int | None
) -> dict[str, str]:
    """What an encoder is opened with.

    Args:
        preset: x264's name.
        asked_crf: the user's; with None the usual one, within a bound of the bit rate.
    """
    crf = usual_crf if asked_crf is None else asked_crf
    bound = _bound(encoder, like) if asked_crf is None else {}
    options: dict[str, str] = {}
    if encoder == "libx264":
        options = {"crf": str(crf), "preset": preset, **bound}
        extra = x26x_parameters(like.hdr_metadata, "mastering-display", "cll")
        profile = H264_PROFILES.get(like.profile or "")
        if profile and pixel_format in ("yuv420p", "yuvj420p") and not like.interlaced and crf:
            options["profile"] = profile
        if like.interlaced:
            options["flags"] = "+ildct+ilme"
        if extra:
            options["x264-params"] = ":".join(extra)
    elif encoder == "libx265":
        options = {"crf": str(crf), "preset": preset, **bound}
        extra = ["log-level=error", X265_SHARP, *x26x_parameters(like.hdr_metadata, "master-display", "max-cll")]
        if like.hdr is not None:
            extra.append("repeat-headers=1")
        options["x265-params"] = ":".join(extra)
        options["a53cc"] = "1"  # closed captions of the pictures, which libx264 writes by default
    elif encoder == "libsvtav1":
        options = {"crf": str(crf), "preset": SVT_PRESETS[preset], **bound}
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
        options = {"level": "3", "slices": _slices(like), "slicecrc": "1"}
    return options


def _slices(like: VideoInfo) -> str:
    """As many slices as FFV1 needs for a picture of this size: four up to 4K."""
    return "4" if like.width * like.height <= LARGEST_IN_FOUR else "16"


def _bound(encoder: str, like: VideoInfo) -> dict[str, str]:
    """A bit rate bound; none where the source has more bits than such bounds can say, as ProRes has."""
    if not like.bit_rate:
        return {}
    bound = max(SMALLEST_BOUND, BIT_RATE_BOUND * like.bit_rate)
    if 2 * bound > LARGEST_BUFFER or bound > LARGEST_BOUNDS.get(encoder, bound):
        return {}
    return {"maxrate": str(bound), "bufsize": str(2 * bound)}
