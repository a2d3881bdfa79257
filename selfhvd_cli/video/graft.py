"""What FFmpeg's mp4 muxer cannot carry from one mp4 or mov file to another, carried over box by box.

FFmpeg knows few kinds of data tracks, rounds GPS positions, drops vendor boxes (Samsung, GoPro), the camera tags of
tracks, languages of QuickTime tracks and the priming of sound. So the file FFmpeg wrote keeps its pictures and the
order of all samples, and takes from the source: data tracks whole, the headers and edit lists of the copied tracks,
the tags, and what lies beside the movie at the top level of the file. The movie header moves to the front as well.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from selfhvd_cli.video.boxes import (
    EMPTY_EDIT,
    Box,
    Edit,
    get_edits,
    get_header,
    parse,
    read_movie,
    sample_sizes,
    set_edits,
    set_header,
)
from selfhvd_cli.video.donor import TABLES, Donor, number_of
from selfhvd_cli.video.edit_lists import rescaled, stretch
from selfhvd_cli.video.reassemble import assemble

SOURCE_TAGS = (b"udta", b"meta")

HDR_BOXES = (b"mdcv", b"clli", b"amve", b"cclv")
"""Boxes of a picture description that FFmpeg's muxer is not told about."""

VISUAL_ENTRY = 86
"""Bytes of a picture description before its first box, header included."""


@dataclass(frozen=True)
class Graft:
    """What to carry over into a file that FFmpeg wrote."""

    muxed: tuple[int, ...]
    """Source track ID of each track in the written file, in their order there."""

    main: int
    """Source track ID of the pictures."""

    carried: tuple[int, ...]
    """Source track IDs of tracks that FFmpeg did not write."""

    same_kind: bool
    """Written as the source's kind of file, so that tags and descriptions have the right form."""

    same_codec: bool
    start: Fraction | None = None
    """Seconds trimmed from the beginning; None where nothing was trimmed."""

    begin: Fraction = Fraction(0)
    """When on the source's clock the output begins, in seconds, where it was trimmed."""

    delay: Fraction = Fraction(0)
    """Seconds by which all tracks move, for pictures that began before zero."""

    first: Fraction = Fraction(0)
    last: Fraction = Fraction(0)
    """When the pictures begin and end in the output, in seconds."""

    dates: tuple[tuple[str, str], ...] = ()
    """Texts in the tags to be replaced by others of the same length."""


def carry_over(source: Donor, output: Path, plan: Graft) -> None:
    """Carry `plan` out on the finished file `output`, which has its movie header at the end.

    Raises:
        ValueError: the written file is not built as expected.
    """
    movie, top = read_movie(output)
    written = movie.all(b"trak")
    if len(written) < len(plan.muxed):
        raise ValueError("fewer tracks were written than planned")
    timescale = get_header(movie.need(b"mvhd"))[2]
    ids = [number_of(each) for each in source.movie.all(b"trak")]
    extra = written[len(plan.muxed) :]  # chapter names of a trimmed clip
    _renumber(written, extra, first=max(ids) + 1)
    tracks: list[Box] = []
    for track_id, track in zip(plan.muxed, written, strict=False):
        tracks.append(_muxed_track(source, track, track_id, timescale, plan))
    carried = [_carried_track(source, track_id, timescale, plan) for track_id in plan.carried]
    ordered = sorted(tracks + [track for track, _ in carried], key=lambda track: ids.index(number_of(track)))
    _dress_movie(source, movie, ordered + extra, plan)
    assemble(source, output, top, movie, tracks + extra, carried, brands=plan.same_kind and plan.same_codec)


def _renumber(written: list[Box], extra: list[Box], first: int) -> None:
    """Give tracks that the source does not have IDs behind the source's, also where others refer to them."""
    new_ids = {number_of(track): first + number for number, track in enumerate(extra)}
    for track in extra:
        set_header(track.need(b"tkhd"), number=new_ids[number_of(track)])
    for track in written:
        box = track.find(b"tref")
        if box is not None:
            references = parse(box.payload)
            for each in references:
                old = struct.unpack(f">{len(each.payload) // 4}I", each.payload)
                each.payload = struct.pack(f">{len(old)}I", *(new_ids.get(number, number) for number in old))
            box.payload = b"".join(each.bytes() for each in references)


def _muxed_track(source: Donor, written: Box, track_id: int, timescale: int, plan: Graft) -> Box:
    """A track whose samples FFmpeg wrote, with the headers of its original."""
    original = source.track(track_id)
    if original is None:
        raise ValueError(f"the source has no track {track_id}")
    if track_id == plan.main:
        return _picture_track(original, written, timescale, plan)
    whole = plan.start is None and plan.same_kind and sample_sizes(original) == sample_sizes(written)
    if whole:
        track = original.copy()
        table, new = track.need(b"mdia", b"minf", b"stbl"), written.need(b"mdia", b"minf", b"stbl")
        for kind in (b"stsc", b"stco", b"co64"):
            table.replace(kind, None)
        assert table.children is not None
        table.children += [each for each in new.children or () if each.kind in (b"stsc", b"stco", b"co64")]
    else:
        track = written
        _dress_track(original, track, plan)
    if plan.start is None:
        set_edits(track, rescaled(get_edits(original), source.timescale, timescale, plan.delay))
        duration = sum(edit.duration for edit in get_edits(track))
        old = get_header(original.need(b"tkhd"))[3] * timescale // source.timescale
        set_header(track.need(b"tkhd"), duration=duration or old)
    return track


def _picture_track(original: Box, written: Box, timescale: int, plan: Graft) -> Box:
    _dress_track(original, written, plan)
    shown = [edit for edit in get_edits(written) if edit.media_time != EMPTY_EDIT]
    begin = shown[0].media_time if shown else 0
    gap, length = round(plan.first * timescale), max(1, round((plan.last - plan.first) * timescale))
    edits = [Edit(gap, EMPTY_EDIT)] if gap > 0 else []
    edits.append(Edit(length, begin))
    set_edits(written, edits)
    set_header(written.need(b"tkhd"), duration=gap + length)
    _dress_description(original, written, plan)
    return written


def _dress_track(original: Box, track: Box, plan: Graft) -> None:
    """Give a written track the identity of its original."""
    creation, changed, track_id, _ = get_header(original.need(b"tkhd"))
    creation = _moved(creation, plan)
    set_header(track.need(b"tkhd"), creation, changed, track_id)
    head, old = track.need(b"mdia", b"mdhd"), original.need(b"mdia", b"mdhd")
    set_header(head, creation, changed)
    head.payload = head.payload[:-4] + old.payload[-4:-2] + head.payload[-2:]  # language
    track.replace(b"tref", _references(original.find(b"tref"), track.find(b"tref"), plan))
    if not plan.same_kind:
        return
    track.need(b"mdia").replace(b"hdlr", original.need(b"mdia", b"hdlr"))
    for kind in SOURCE_TAGS:
        if (box := original.find(kind)) is not None:
            track.replace(kind, _dated(box, plan))


def _references(box: Box | None, written: Box | None, plan: Graft) -> Box | None:
    """A track's references to others: the source's, those to the chapters of a trimmed clip as FFmpeg wrote them."""
    trimmed = plan.start is not None
    old = [] if box is None else [each for each in parse(box.payload) if each.kind not in TABLES]
    kept = [each for each in old if not trimmed or each.kind != b"chap"]
    chapters = parse(written.payload) if written is not None and trimmed else []
    new = [each for each in chapters if each.kind == b"chap"]
    payload = b"".join(each.bytes() for each in kept + new)
    return Box(b"tref", payload) if payload else None


def _dress_description(original: Box, written: Box, plan: Graft) -> None:
    """Carry over what the picture description says beside the codec: HDR boxes, the camera's name for its encoder."""
    place = (b"mdia", b"minf", b"stbl", b"stsd")
    old, new = original.need(*place).payload[8:], written.need(*place).payload[8:]
    if len(old) < VISUAL_ENTRY or len(new) < VISUAL_ENTRY:
        return
    size = struct.unpack_from(">I", new)[0]
    entry, after = bytearray(new[:size]), new[size:]
    if plan.same_kind and plan.same_codec:
        entry[20:24] = old[20:24]  # vendor
        entry[50:82] = old[50:82]  # name of the encoder
    try:
        have = {box.kind for box in parse(bytes(entry[VISUAL_ENTRY:]))}
        given = parse(old[VISUAL_ENTRY : struct.unpack_from(">I", old)[0]])
    except ValueError:
        return
    entry += b"".join(box.bytes() for box in given if box.kind in HDR_BOXES and box.kind not in have)
    struct.pack_into(">I", entry, 0, len(entry))
    box = written.need(*place)
    box.payload = box.payload[:8] + bytes(entry) + after


def _carried_track(source: Donor, track_id: int, timescale: int, plan: Graft) -> tuple[Box, Box]:
    """(the track for the output, its original): a track with all its samples, shown as far as the pictures go."""
    original = source.track(track_id)
    if original is None:
        raise ValueError(f"the source has no track {track_id}")
    track = original.copy()
    edits = get_edits(original)
    if plan.start is None:
        edits = rescaled(edits, source.timescale, timescale, plan.delay)
    else:
        clock = get_header(track.need(b"mdia", b"mdhd"))[2]
        edits = stretch(edits, plan.begin, plan.last, source.timescale, timescale, clock)
    duration = sum(edit.duration for edit in edits)
    set_edits(track, edits)
    if not duration:
        duration = get_header(track.need(b"tkhd"))[3] * timescale // source.timescale
    set_header(track.need(b"tkhd"), duration=duration)
    return track, original


def _dress_movie(source: Donor, movie: Box, tracks: list[Box], plan: Graft) -> None:
    """Movie header, tags and tracks in the source's order."""
    old = source.movie.need(b"mvhd")
    creation, changed, _, _ = get_header(old)
    creation = _moved(creation, plan)
    head = movie.need(b"mvhd")
    duration = max((get_header(track.need(b"tkhd"))[3] for track in tracks), default=0)
    set_header(head, creation, changed, duration=duration)
    next_id = max(number_of(track) for track in tracks) + 1
    head.payload = head.payload[:-4] + struct.pack(">I", next_id)
    assert movie.children is not None
    movie.children = [each for each in movie.children if each.kind != b"trak"]
    place = movie.children.index(head) + 1
    movie.children[place:place] = tracks
    if not plan.same_kind:
        return
    for kind in SOURCE_TAGS:
        box = source.movie.find(kind)
        if kind == b"udta" and plan.start is not None:
            box = _without_chapters(box, movie.find(kind))
        movie.replace(kind, _dated(box, plan) if box is not None else None)


def _without_chapters(box: Box | None, written: Box | None) -> Box | None:
    """User data of a trimmed clip: the source's, but the chapters as FFmpeg wrote them."""
    try:
        kept = [each for each in parse(box.payload) if each.kind != b"chpl"] if box is not None else []
        new = [each for each in parse(written.payload) if each.kind == b"chpl"] if written is not None else []
    except ValueError:
        return box
    payload = b"".join(each.bytes() for each in kept + new)
    return Box(b"udta", payload) if payload else None


def _moved(creation: int, plan: Graft) -> int:
    """The moment a trimmed clip begins, in seconds since 1904; 0 stands for one that is not known."""
    return creation + round(plan.start) if creation and plan.start is not None else creation


def _dated(box: Box, plan: Graft) -> Box:
    payload = box.payload
    for old, new in plan.dates:
        payload = payload.replace(old.encode(), new.encode())
    return Box(box.kind, payload)
