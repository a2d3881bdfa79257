"""What the finished file says of each stream, compared with the source: language, disposition, tags, beginning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction

from av.stream import Disposition

from selfhvd_cli.video.covers import is_cover
from selfhvd_cli.video.info import StreamInfo, VideoInfo
from selfhvd_cli.video.muxing import Job
from selfhvd_cli.video.receipt import Receipt
from selfhvd_cli.video.tags import ALPHA_TAG, BRANDS, tags_for

CONTAINERS_OWN = ("language", "encoder", "handler_name", "vendor_id", "duration", ALPHA_TAG, *BRANDS)
"""Tags of a stream that describe its container, or of which another line tells."""

ATTACHED_FILE = ("filename", "mimetype")
"""Tags of a cover picture where it is an attached file."""

STATISTICS = ("bps", "number_of_frames", "number_of_bytes", "_statistics")
"""How tags begin in which Matroska's writers count what they wrote."""

OTHER_NAMES: Mapping[str, str] = {"title": "name", "name": "title"}
"""Tags under whose name FFmpeg reads back what it wrote under another, in mp4 and mov files."""

TERMINOLOGY: Mapping[str, str] = {
    "alb": "sqi", "arm": "hye", "baq": "eus", "bur": "mya", "chi": "zho", "cze": "ces", "dut": "nld", "fre": "fra",
    "geo": "kat", "ger": "deu", "gre": "ell", "ice": "isl", "mac": "mkd", "mao": "mri", "may": "msa", "per": "fas",
    "rum": "ron", "slo": "slk", "tib": "bod", "wel": "cym",
}  # fmt: skip
"""The other spelling of languages that have two in ISO 639-2; containers differ in which they use."""

HEARD = Fraction(1, 100)
"""Seconds by which a stream must begin early or late to be worth a line."""


def compare_streams(
    receipt: Receipt, job: Job, written: VideoInfo, counts: Mapping[int, int], starts: Mapping[int, Fraction]
) -> None:
    """Name what the output no longer says of the source's streams.

    Args:
        counts: packets copied from each source stream.
        starts: when the first of them was to be heard or shown after the first picture, in seconds.
    """
    if job.like.container == "frames":
        return
    for stream, copy in _pairs(job, written, counts):
        _compare_language(receipt, job, stream, copy)
        _compare_dispositions(receipt, job, stream, copy)
        _compare_tags(receipt, job, stream, copy)
        if stream.index in starts and copy.start_time is not None and job.layout.muxer == "avi":
            early = starts[stream.index] - (copy.start_time - written.start_time)
            if abs(early) > HEARD:
                word = "early" if early > 0 else "late"
                receipt.change(
                    str(stream),
                    f"{float(abs(early)):.3f} s {word}, for avi begins all streams together; mkv does not",
                )


def _pairs(job: Job, written: VideoInfo, counts: Mapping[int, int]) -> Iterator[tuple[StreamInfo, StreamInfo]]:
    """The streams of the source that are in the output, each with what it became."""
    like, layout = job.like, job.layout
    yield like.main_stream, written.main_stream
    used = {written.stream_index}
    for stream in like.streams:
        kept = stream.index in (*layout.carried, *layout.covers, *layout.attached) or counts.get(stream.index)
        if stream.index == like.stream_index or not (kept or stream.kind == "attachment"):
            continue
        alike = (each for each in written.streams if (each.kind, each.codec) == (stream.kind, stream.codec))
        copy = next((each for each in alike if each.index not in used), None)
        if copy is not None:
            used.add(copy.index)
            yield stream, copy


def _compare_language(receipt: Receipt, job: Job, stream: StreamInfo, copy: StreamInfo) -> None:
    wanted, found = _language(stream), _language(copy)
    if wanted is None or wanted == found:
        return
    if found is None:
        receipt.leave_out(f"language of {stream}", f"{job.layout.muxer} is written without it")
    else:
        receipt.change(f"language of {stream}", f"is stored as {found}")


def _language(stream: StreamInfo) -> str | None:
    language = (stream.language or "und").lower()
    return None if language == "und" else TERMINOLOGY.get(language, language)


def _compare_dispositions(receipt: Receipt, job: Job, stream: StreamInfo, copy: StreamInfo) -> None:
    lost = Disposition(stream.disposition & ~copy.disposition)
    alike = [each for each in job.like.streams if each.kind == stream.kind and not is_cover(each)]
    if all(each.disposition & Disposition.default for each in alike):
        lost &= ~Disposition.default  # it sets none apart
    if lost & Disposition.attached_pic:
        receipt.change(str(stream), f"{job.layout.muxer} holds this cover picture as an ordinary video")
        lost &= ~Disposition.attached_pic
    names = [str(each.name).replace("_", " ") for each in Disposition if each & lost]
    if names:
        receipt.leave_out(f"disposition {', '.join(names)} of {stream}", _no_place(job))


def _compare_tags(receipt: Receipt, job: Job, stream: StreamInfo, copy: StreamInfo) -> None:
    found = {name.lower(): value for name, value in copy.metadata.items()}
    found |= {OTHER_NAMES[name]: value for name, value in found.items() if OTHER_NAMES.get(name, name) not in found}
    of_file = {name.lower(): value for name, value in job.tags.items()}  # told of the file, not of each stream again
    own = CONTAINERS_OWN + (ATTACHED_FILE if is_cover(stream) else ())
    lost = []
    for name, value in tags_for(stream.metadata, job.start).items():
        key = name.lower()
        if key in own or key.startswith(STATISTICS) or value in (found.get(key), of_file.get(key)):
            continue
        if key in found:
            receipt.change(f"tag {name} of {stream}", f"{value!r} is stored as {found[key]!r}")
        else:
            lost.append(name)
    if lost:
        receipt.leave_out(f"{'tag' if len(lost) == 1 else 'tags'} {', '.join(lost)} of {stream}", _no_place(job))


def _no_place(job: Job) -> str:
    return f"{job.layout.muxer} has no place for it"
