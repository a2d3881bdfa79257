"""What goes where in the output file: its container, and by which way each stream of the source gets into it."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from selfhvd_cli.errors import UsageFault
from selfhvd_cli.video.boxes import parse
from selfhvd_cli.video.covers import attachable, is_cover
from selfhvd_cli.video.donor import Donor, donor
from selfhvd_cli.video.encoders import UNFIT, Encoding, first_family
from selfhvd_cli.video.info import StreamInfo, VideoInfo
from selfhvd_cli.video.passthrough import Verdict, muxable

MUXERS: Mapping[str, str] = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".qt": "mov",
    ".3gp": "3gp",
    ".mkv": "matroska",
    ".webm": "webm",
    ".avi": "avi",
    ".ts": "mpegts",
    ".mts": "mpegts",
    ".m2ts": "mpegts",
}
"""Output containers by file name."""

QUICKTIME = ("mp4", "mov", "3gp")

COARSE_CLOCKS: Mapping[str, Fraction] = {
    "matroska": Fraction(1, 1000),
    "webm": Fraction(1, 1000),
    "mpegts": Fraction(1, 90000),
}
"""Containers that round times to a tick of their own."""

LARGEST_TIMESCALE = 10_000_000
"""Finest movie clock of an mp4 file; beyond it some players overflow."""


@dataclass(frozen=True)
class Layout:
    """The output's container and the way of each stream into it."""

    muxer: str
    donor: Donor | None
    """The source, where its boxes can be carried over as they are."""

    same_kind: bool = False
    """Source and output are the same kind of mp4 or mov file."""

    copied: frozenset[int] = frozenset()
    """Source streams whose packets are muxed."""

    carried: tuple[int, ...] = ()
    """Source streams carried over box by box."""

    covers: tuple[int, ...] = ()
    """Cover pictures, which travel with the tags."""

    attached: tuple[int, ...] = ()
    """Cover pictures that become attached files."""

    left_out: tuple[Verdict, ...] = field(default=())


def plan_layout(target: Path, like: VideoInfo, encoding: Encoding, trimmed: bool) -> Layout:
    """Decide on the container and try every stream in it, before the long run.

    Raises:
        UsageFault: the target's suffix names no container.
    """
    muxer = MUXERS.get(target.suffix.lower())
    if muxer is None:
        raise UsageFault(f"{target}: unknown kind of video file; use one of {', '.join(MUXERS)}.")
    if like.container == "frames":
        return Layout(muxer, None)
    origin = donor(like.path) if like.container.startswith("mov") else None
    source = origin if muxer in QUICKTIME else None
    if source is not None and muxer != "3gp" and target.suffix.lower() == like.path.suffix.lower():
        # Phones also call QuickTime files .mp4; the name is believed where QuickTime has no place for the codec.
        fits = first_family(like, encoding) not in UNFIT["mov"]
        muxer = "mov" if source.quicktime and (fits or muxer == "mov") else "mp4"
    same_kind = source is not None and source.quicktime == (muxer == "mov")
    copied, carried, covers, attached, left_out = set(), [], [], [], []
    chapters = _chapter_tracks(origin, like) if origin is not None and (source is None or trimmed) else set()
    for verdict in muxable(like, muxer):
        stream = verdict.stream
        has_track = source is not None and source.track(stream.id) is not None
        if stream.id in chapters:
            continue  # the names are written anew, with the chapters
        if same_kind and is_cover(stream):
            covers.append(stream.index)
        elif attachable(stream, muxer):
            attached.append(stream.index)
        elif has_track and (stream.kind == "data" or verdict.reason is not None):
            carried.append(stream.index)
        elif verdict.reason is None:
            copied.add(stream.index)
        else:
            left_out.append(verdict)
    return Layout(
        muxer, source, same_kind, frozenset(copied), tuple(carried), tuple(covers), tuple(attached), tuple(left_out)
    )


def container_options(layout: Layout, like: VideoInfo, trimmed: bool) -> dict[str, str]:
    """Options of the muxer."""
    options: dict[str, str] = {}
    if layout.muxer in QUICKTIME:
        flags = "+faststart" if layout.donor is None else ""  # otherwise the movie header is moved with the grafting
        if not any(is_cover(stream) for stream in like.streams):
            flags += "+use_metadata_tags"
        options = {"movie_timescale": str(_movie_timescale(layout, like, trimmed)), "strict": "unofficial"}
        if flags:
            options["movflags"] = flags
        if layout.donor is not None:
            options["write_tmcd"] = "0"
        if like.time_base.numerator == 1:
            options["video_track_timescale"] = str(like.time_base.denominator)
    elif layout.muxer in ("matroska", "webm", "avi"):
        options["avoid_negative_ts"] = "disabled"  # sound is primed before zero, which must not move the pictures
    return options


def clock_of(layout: Layout, like: VideoInfo) -> Fraction:
    """The tick in which frames are timed: the source's, but avi knows only evenly spaced frames."""
    return 1 / like.frame_rate if layout.muxer == "avi" else like.time_base


def describe_stream(layout: Layout, stream: StreamInfo) -> str:
    """A stream in words, with the four letters of its track where FFmpeg has no name for it."""
    if stream.codec in (None, "bin_data") and layout.donor is not None:
        letters = layout.donor.kind_of(stream.id)
        return f"{stream.kind} {stream.index} ({letters})"
    return str(stream)


def _movie_timescale(layout: Layout, like: VideoInfo, trimmed: bool) -> int:
    """A clock that says exactly where streams begin and end: a multiple of the source's own, where it has one."""
    whole = layout.donor is not None and not trimmed
    clock = layout.donor.timescale if layout.donor is not None and whole else 1000
    bases = [like.time_base] if whole else [like.time_base, *(stream.time_base for stream in like.streams)]
    for base in bases:
        if base is not None:
            finer = math.lcm(clock, base.denominator)
            if finer <= LARGEST_TIMESCALE:
                clock = finer
            elif base == like.time_base:
                return LARGEST_TIMESCALE  # the pictures come first, be it to within half a tick of it
    return clock


def _chapter_tracks(source: Donor, like: VideoInfo) -> set[int]:
    """IDs of the text tracks that hold chapter names."""
    main = source.track(like.main_stream.id)
    box = main.find(b"tref") if main is not None else None
    if box is None:
        return set()
    found: set[int] = set()
    for reference in parse(box.payload):
        if reference.kind == b"chap":
            found |= set(struct.unpack(f">{len(reference.payload) // 4}I", reference.payload))
    return found
