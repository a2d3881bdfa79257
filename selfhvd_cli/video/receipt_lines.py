"""The lines of the closing receipt: what was kept, changed and left out, compared on the finished file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from selfhvd_cli.counting import counted
from selfhvd_cli.video.container import COARSE_CLOCKS, Layout, describe_stream
from selfhvd_cli.video.covers import is_cover
from selfhvd_cli.video.info import Chapter, VideoInfo
from selfhvd_cli.video.muxing import Job, Opened, chapters_within
from selfhvd_cli.video.picture_comparison import compare_pictures
from selfhvd_cli.video.probe import probe
from selfhvd_cli.video.receipt import Receipt
from selfhvd_cli.video.stream_comparison import compare_streams
from selfhvd_cli.video.tags import DATE_TAGS

FRAME_TIMES = "frame times"


def say_plan(receipt: Receipt, job: Job, opened: Opened) -> None:
    """What is known before the first frame: the choices, and what they cost."""
    like, layout = job.like, job.layout
    for reason in opened.tried:
        receipt.note("encoder", reason)
    for verdict in layout.left_out:
        receipt.leave_out(describe_stream(layout, verdict.stream), verdict.reason or "")
    for note in opened.plan.notes:
        receipt.change("video", note)
    for flag in opened.plan.ignored:
        receipt.note(flag, f"has no effect with {opened.plan.encoder}")
    if like.dolby_vision:
        receipt.leave_out(
            "Dolby Vision metadata", "cannot be kept with changed pictures; the HDR base layer is, with its tags"
        )
    if like.alpha_beside:
        receipt.leave_out("transparency", f"{like.codec} is decoded without it")
    if job.trimmed and (said := _trimming(job, layout)):
        receipt.note("trimmed", ", ".join(said))
    if job.time_base != like.time_base:
        receipt.change(FRAME_TIMES, f"{layout.muxer} holds evenly spaced frames only")
    tick = COARSE_CLOCKS.get(layout.muxer)
    if tick is not None and (job.time_base / tick).denominator != 1:
        rounded = f"{layout.muxer} rounds them to {float(tick * 1000):.3g} ms; mp4 and mov do not"
        receipt.change(FRAME_TIMES, rounded)


def _trimming(job: Job, layout: Layout) -> list[str]:
    """What else trimming does to a clip than to take a part of its frames."""
    taken = layout.copied | frozenset(layout.carried)
    sound = any(stream.kind == "audio" and stream.index in taken for stream in job.like.streams)
    dated = any(name.lower() in DATE_TAGS for name in job.like.metadata)
    return [
        *(["sound is cut between its packets"] if sound else []),
        *(["capture dates moved to the new beginning"] if job.start and dated else []),
    ]


def say_result(
    receipt: Receipt, job: Job, opened: Opened, times: Sequence[Fraction], begins: Fraction, place: int
) -> None:
    """What came out.

    Args:
        times: of its frames, in seconds.
        begins: when on the source's clock it begins, in seconds, where it was trimmed.
        place: of the pictures' stream, as `main_video` takes it.
    """
    like, layout = job.like, job.layout
    counts = opened.copier.counts if opened.copier is not None else {}
    starts = opened.copier.starts if opened.copier is not None else {}
    written = probe(job.part, place)
    moved = like.restarts or any(line.what == FRAME_TIMES for line in receipt.changed)
    on_time = "at its own time" if len(times) == 1 else "at their own times"
    receipt.keep(counted(len(times), "frame"), "" if moved else on_time)
    for stream in like.streams:
        if stream.index in counts and stream.kind == "attachment":
            receipt.keep(str(stream), "bit-identical")
        elif counts.get(stream.index) == 0:
            receipt.leave_out(str(stream), "nothing of it can be read")
        elif stream.index in counts:
            receipt.keep(str(stream), f"{counts[stream.index]} packets, bit-identical")
        elif stream.index in layout.carried:
            receipt.keep(describe_stream(layout, stream), "the whole track, bit-identical")
        elif stream.index in layout.attached and not any(is_cover(each) for each in written.streams):
            receipt.leave_out(str(stream), "nothing of it can be read")
        elif stream.index in (*layout.covers, *layout.attached):
            receipt.keep(str(stream), "cover picture")
    _say_restarts(receipt, like, opened)
    _compare_tags(receipt, job, written.metadata)
    _compare_chapters(receipt, job, written.chapters, begins)
    compare_streams(receipt, job, written, counts, {index: time - times[0] for index, time in starts.items()})
    compare_pictures(receipt, job, opened.plan, written)


def _say_restarts(receipt: Receipt, like: VideoInfo, opened: Opened) -> None:
    if not like.restarts:
        return
    place = f"from {float(like.restarts[0].time - like.start_time):.2f} s of the source on"
    anew = "the clock of the source begins anew, as in joined files"
    receipt.change(FRAME_TIMES, f"{anew}; {place} they go on without a gap")
    if opened.copier is None:
        return
    for stream in like.streams:
        if opened.copier.counts.get(stream.index) and not opened.copier.pace.keeps(stream.index):
            late = f"does not keep pace with the pictures {place}; deblur the parts before joining them"
            receipt.change(str(stream), late)


def _compare_tags(receipt: Receipt, job: Job, written: Mapping[str, str]) -> None:
    wanted = job.tags
    found = {name.lower(): value for name, value in written.items()}
    lost = [name for name, value in wanted.items() if found.get(name.lower()) != value]
    if len(lost) < len(wanted):
        receipt.keep(counted(len(wanted) - len(lost), "tag"))
    for name in lost:
        if name.lower() in found:
            receipt.change(f"tag {name}", f"{wanted[name]!r} is stored as {found[name.lower()]!r}")
        else:
            receipt.leave_out(f"tag {name}", f"{job.layout.muxer} has no place for it")


def _compare_chapters(receipt: Receipt, job: Job, written: Sequence[Chapter], begins: Fraction) -> None:
    wanted = chapters_within(job, begins)
    no_place = f"{job.layout.muxer} has no place for them"
    if written:
        receipt.keep(counted(len(written), "chapter"))
    if len(written) < len(wanted):
        receipt.leave_out(counted(len(wanted) - len(written), "chapter"), no_place)
    lost = set()
    for chapter, copy in zip(wanted, written, strict=False):
        found = {name.lower(): value for name, value in copy.metadata.items()}
        lost |= {name for name, value in chapter["metadata"].items() if found.get(name.lower()) != value}
    if lost:
        receipt.leave_out(f"chapters' tags {', '.join(sorted(lost))}", no_place)
