"""Opens the output container: the first encoder that works, every stream in the source's order, tags and chapters."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import OutputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from selfhvd_cli.allotment import processors
from selfhvd_cli.video.container import QUICKTIME, Layout, clock_of, container_options
from selfhvd_cli.video.covers import read_cover
from selfhvd_cli.video.encoders import (
    CANNOT_HOLD,
    UNFIT,
    EncoderPlan,
    Encoding,
    open_test,
    plan_encoders,
    refuse_unavailable,
)
from selfhvd_cli.video.info import VideoInfo
from selfhvd_cli.video.opening import location
from selfhvd_cli.video.passthrough import PacketCopier, add_copy, set_tags
from selfhvd_cli.video.priority import priority_kept
from selfhvd_cli.video.tags import ALPHA_TAG, tags_for, without_container_tags

PROVEN = ("libx264", "libx265")
"""Encoders that open for every picture of an ordinary size; others are tried with real frames first."""

ORDINARY = 128
"""Pixels a side from which, if even, a size is ordinary."""


@dataclass(frozen=True)
class Job:
    """What is to be written, and where."""

    part: Path
    like: VideoInfo
    layout: Layout
    encoding: Encoding
    start: Fraction = Fraction(0)
    length: Fraction | None = None

    @property
    def trimmed(self) -> bool:
        return bool(self.start) or self.length is not None

    @property
    def time_base(self) -> Fraction:
        """The tick of the output's picture stream."""
        return clock_of(self.layout, self.like)

    @property
    def tags(self) -> dict[str, str]:
        """The clip's tags, without those of a container the output is not."""
        mp4 = self.like.container.startswith("mov") or self.layout.muxer in QUICKTIME
        return without_container_tags(tags_for(self.like.metadata, self.start), mp4)


@dataclass(frozen=True)
class Opened:
    """An output ready for packets."""

    output: OutputContainer
    stream: VideoStream
    plan: EncoderPlan
    copier: PacketCopier | None
    """None for a folder of frames, which has no other streams."""

    tried: tuple[str, ...]
    """Why better encoders were not taken."""


def open_output(job: Job) -> Opened:
    """Open the output with the first encoder that works.

    Raises:
        UsageFault: the container cannot hold the codec that was asked for.
        EnvironmentFault: no encoder works.
    """
    tried: list[str] = []
    for plan in plan_encoders(job.like, job.encoding, job.layout.muxer):
        opened = _open_with(job, plan, tried)
        if opened is not None:
            return replace(opened, tried=_told(tried))
    raise refuse_unavailable(job.encoding, job.layout.muxer, tried)


def _told(tried: list[str]) -> tuple[str, ...]:
    """What the user is told of the choice: fallbacks that a container cannot hold, nobody asked for."""
    return tuple(each for place, each in enumerate(tried) if place == 0 or CANNOT_HOLD not in each)


def _open_with(job: Job, plan: EncoderPlan, tried: list[str]) -> Opened | None:
    like, muxer = job.like, job.layout.muxer
    if plan.family in UNFIT.get(muxer, ()):
        tried.append(f"{muxer} {CANNOT_HOLD} {plan.family}")
        return None
    options = container_options(job.layout, like, job.trimmed)
    with ExitStack() as unused:
        output = unused.enter_context(av.open(location(job.part), "w", format=muxer, container_options=options))
        copier = None
        if like.container != "frames":
            copier = PacketCopier(like, job.layout.copied, raw=job.layout.donor is not None and not job.trimmed)
            unused.callback(copier.close)
        try:
            stream = _add_streams(job, output, plan, copier)
        except ValueError:
            tried.append(f"{muxer} {CANNOT_HOLD} {plan.family}")
            return None
        ordinary = min(like.width, like.height) >= ORDINARY and like.width % 2 == like.height % 2 == 0
        if plan.encoder not in PROVEN or not ordinary:
            reason = open_test(plan, like.width, like.height, job.time_base)
            if reason is not None:
                tried.append(f"{plan.encoder} does not open: {reason}")
                return None
        output.metadata.update(job.tags)
        if job.layout.donor is None and not job.trimmed:
            output.set_chapters(chapters_within(job))  # type: ignore[arg-type]
        with priority_kept():
            output.start_encoding()
        unused.pop_all()
    return Opened(output, stream, plan, copier, tuple(tried))


def _add_streams(job: Job, output: OutputContainer, plan: EncoderPlan, copier: PacketCopier | None) -> VideoStream:
    if copier is None:
        return add_picture(job, output, plan)
    copies: dict[int, Stream] = {}
    main = None
    for index in range(len(job.like.streams)):
        if index == job.like.stream_index:
            main = add_picture(job, output, plan)
        elif index in job.layout.copied:
            copies[index] = add_copy(output, copier.stream(index))
            if job.start:
                set_tags(copies[index], tags_for(copies[index].metadata, job.start))
        elif index in job.layout.attached and (cover := read_cover(job.like, index)) is not None:
            cover.attach(output)
    copier.bind(copies)
    assert main is not None
    return main


def add_picture(job: Job, output: OutputContainer, plan: EncoderPlan) -> VideoStream:
    like = job.like
    stream = output.add_stream(plan.encoder, rate=like.frame_rate, options=dict(plan.options))
    assert isinstance(stream, VideoStream)
    context = stream.codec_context
    context.width, context.height, context.pix_fmt = like.width, like.height, plan.pixel_format
    context.time_base = stream.time_base = job.time_base
    context.thread_type = "AUTO"  # PyAV's default makes x264 cut pictures into slices instead of working on several
    if (ours := processors()) < (os.cpu_count() or 1):
        context.thread_count = ours  # by itself it takes threads for the machine's, and memory for each
    context.color_primaries, context.color_trc = plan.color.primaries, plan.color.transfer
    context.colorspace, context.color_range = plan.color.matrix, plan.color.range
    if like.sample_aspect_ratio:
        context.sample_aspect_ratio = like.sample_aspect_ratio
    if like.interlaced:
        context.field_order = like.field_order
    if plan.tag is not None:
        context.codec_tag = plan.tag
    if like.display_matrix is not None:
        stream.set_display_matrix(like.display_matrix)
    if like.container != "frames":
        tags = {name: value for name, value in like.main_stream.metadata.items() if name.lower() != ALPHA_TAG}
        set_tags(stream, tags_for(tags, job.start))
        stream.disposition = Disposition(like.main_stream.disposition)
    return stream


def chapters_within(job: Job, begin: Fraction | None = None) -> list[dict[str, Any]]:
    """The source's chapters as far as they lie in what is written, as PyAV takes them, in milliseconds.

    Args:
        begin: when on the source's clock a trimmed output begins, in seconds: with its first frame, which is known
            once there is one; until then the moment that was asked for.
    """
    asked = job.like.start_time + job.start
    zero = (asked if begin is None else begin) if job.trimmed else min(job.like.start_time, Fraction(0))
    end = None if job.length is None else asked + job.length
    chapters = []
    for number, chapter in enumerate(job.like.chapters):
        first = max(chapter.start - zero, Fraction(0))
        last = (chapter.end if end is None else min(chapter.end, end)) - zero
        if last > first:
            chapters.append(
                {
                    "id": number,
                    "start": round(first * 1000),
                    "end": round(last * 1000),
                    "time_base": Fraction(1, 1000),
                    "metadata": dict(chapter.metadata),
                }
            )
    return chapters
