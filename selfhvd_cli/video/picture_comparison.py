"""What the finished file says of its pictures, compared with the source: colours, HDR, shape, fields, orientation."""

from __future__ import annotations

from fractions import Fraction

from selfhvd_cli.video.encoders import ENOUGH_BITS, EncoderPlan
from selfhvd_cli.video.info import FULL_RANGE, UNSPECIFIED, ColorTags, VideoInfo
from selfhvd_cli.video.muxing import Job
from selfhvd_cli.video.pixel_formats import planar_format
from selfhvd_cli.video.receipt import Receipt
from selfhvd_cli.video.side_data import CAPTIONS, SECOND_VIEW

PROGRESSIVE = (0, 1)
"""FFmpeg's numbers for a field order that is not known, and for pictures without fields."""


def compare_pictures(receipt: Receipt, job: Job, plan: EncoderPlan, written: VideoInfo) -> None:
    """Name what the output no longer says of the source's pictures."""
    _compare_colours(receipt, job, plan, written)
    _compare_hdr(receipt, job, plan, written)
    _compare_shape(receipt, job, plan, written)
    _compare_extras(receipt, job, plan, written)
    _compare_orientation(receipt, job, written)


def _compare_colours(receipt: Receipt, job: Job, plan: EncoderPlan, written: VideoInfo) -> None:
    lost = _unsaid(plan.color, written.color)
    if planar_format(plan.pixel_format).startswith("gray"):
        lost = [name for name in lost if name != "matrix"]  # it tells of colour
    if lost:
        what = f"colour tags ({', '.join(lost)})"
        receipt.leave_out(what, f"{_place(job, plan)} cannot hold them, so players guess")


def _unsaid(wanted: ColorTags, found: ColorTags) -> list[str]:
    """Which properties are stated no more; video range is what everybody takes an unstated range for."""
    names = [name for name in ("primaries", "transfer", "matrix") if getattr(wanted, name) != UNSPECIFIED]
    names += ["range"] if wanted.range == FULL_RANGE else []
    return [name for name in names if getattr(found, name) != getattr(wanted, name)]


def _compare_hdr(receipt: Receipt, job: Job, plan: EncoderPlan, written: VideoInfo) -> None:
    like, had, has = job.like, job.like.hdr_metadata, written.hdr_metadata
    if like.hdr is not None:
        what = f"HDR ({like.hdr.upper()}, {like.bit_depth} bits)"
        if written.hdr == like.hdr and written.bit_depth >= min(like.bit_depth, ENOUGH_BITS):
            receipt.keep(what)
        else:
            receipt.leave_out(what, f"{_place(job, plan)} cannot hold it; hevc in mp4, mov and mkv can")
    lost = (had.mastering and not has.mastering, had.light_level and not has.light_level)
    names = [name for name, gone in zip(("mastering display", "light level"), lost, strict=True) if gone]
    if names:
        receipt.leave_out(f"HDR metadata ({', '.join(names)})", f"{plan.encoder} writes none")


def _compare_shape(receipt: Receipt, job: Job, plan: EncoderPlan, written: VideoInfo) -> None:
    like = job.like
    wanted, found = (info.sample_aspect_ratio or Fraction(1) for info in (like, written))
    if wanted != found:
        ratio = f"{wanted.numerator}:{wanted.denominator}"
        receipt.leave_out(
            f"pixel aspect {ratio}", f"{_place(job, plan)} is written without it, so players show other proportions"
        )
    if like.interlaced and not written.interlaced and written.field_order in PROGRESSIVE:
        receipt.leave_out("interlacing", f"{plan.encoder} does not mark it, --codec h264 does")


def _compare_extras(receipt: Receipt, job: Job, plan: EncoderPlan, written: VideoInfo) -> None:
    for name in job.like.extras:
        if name in written.extras:
            receipt.keep(name)
            continue
        reason = f"{plan.encoder} writes none"
        if name == SECOND_VIEW:
            reason = "only the first of the two views is decoded; the clip is no longer spatial"
        elif name == CAPTIONS and plan.family != "h264":
            reason += ", --codec h264 keeps them"
        receipt.leave_out(name, reason)


def _compare_orientation(receipt: Receipt, job: Job, written: VideoInfo) -> None:
    if job.like.display_matrix is None:
        return
    if _turn(written) == _turn(job.like):
        receipt.keep("orientation")
    else:
        reason = f"{job.layout.muxer} has no place for it, so players show the pictures turned; mp4 and mov have one"
        receipt.leave_out("orientation", reason)


def _turn(info: VideoInfo) -> tuple[int, ...] | None:
    """What a display matrix does to the pictures, without where it moves them to."""
    matrix = info.display_matrix
    return None if matrix is None else tuple(round(matrix[place] / 0x10000) for place in (0, 1, 3, 4))


def _place(job: Job, plan: EncoderPlan) -> str:
    return f"{plan.family} in {job.layout.muxer}"
