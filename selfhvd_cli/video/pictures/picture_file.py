"""A picture as the bytes of a PNG, JPEG or TIFF file."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import av
import cv2
from av.codec.codec import Codec
from av.video.codeccontext import VideoCodecContext

from selfhvd_cli.video.change import is_gray
from selfhvd_cli.video.pictures.frames_folder import JPEG, JPEG_MATRIX
from selfhvd_cli.video.pictures.head import FORMATS
from selfhvd_cli.video.pixels import planes_of


def picture_file(picture: av.VideoFrame, suffix: str) -> bytes:
    """A picture of RGB or grey as a file of the kind that `suffix` names: as deep as it is, with its transparency
    where such a file can hold it."""
    if suffix in JPEG:
        return _gray_jpeg(picture) if is_gray(picture) else _jpeg(picture)
    parts = picture.format.components
    name = FORMATS[not is_gray(picture), any(part.is_alpha for part in parts)][max(part.bits for part in parts) > 8]
    if suffix == ".png":
        return _encoded(picture.reformat(format=name), "png", {"pred": "mixed", "compression_level": "4"})
    return _encoded(picture.reformat(format=name.replace("be", "le")), "tiff", {"compression_algo": "deflate"})


def _jpeg(picture: av.VideoFrame) -> bytes:
    whole = picture.reformat(format="yuvj444p", dst_colorspace=JPEG_MATRIX, dst_color_range=2)
    return _encoded(whole, "mjpeg", {"qmin": "1", "qmax": "1"})


def _gray_jpeg(picture: av.VideoFrame) -> bytes:
    """By OpenCV, for FFmpeg writes no JPEG of one component."""
    plane = planes_of(picture.reformat(format="gray", src_color_range=2, dst_color_range=2))[0]
    _, data = cv2.imencode(".jpg", plane.contiguous().numpy(), [cv2.IMWRITE_JPEG_QUALITY, 100])
    return data.tobytes()


def _encoded(picture: av.VideoFrame, encoder: str, options: Mapping[str, str]) -> bytes:
    context = Codec(encoder, "w").create("video")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = picture.width, picture.height, picture.format.name
    context.time_base = Fraction(1, 30)
    context.options = dict(options)
    picture.pts, picture.time_base = 0, Fraction(1, 30)
    packets = context.encode(picture) + context.encode(None)
    return b"".join(bytes(packet) for packet in packets)
