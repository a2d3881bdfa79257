"""Words for the plan and the report of a deblurring run."""

from __future__ import annotations

from collections.abc import Iterator

from selfhvd_cli.cli.progress import length, size
from selfhvd_cli.counting import counted
from selfhvd_cli.deblurring.kept import Kept, target_of
from selfhvd_cli.deblurring.report import DeblurPlan, DeblurReport
from selfhvd_cli.quality.names import quoted

STAGES = {"decode": "decoding", "restore": "the network", "encode": "encoding"}


def plan_in_words(plan: DeblurPlan) -> Iterator[str]:
    """Lines for `--dry-run`."""
    frames = counted(plan.frames, "frame") if plan.frames is not None else "an unknown number of frames"
    yield f"{plan.source} → {plan.target}: {frames} of {plan.size[0]}×{plan.size[1]}"
    if plan.model is None:
        yield "  strength 0: no network is used, every frame passes as it was decoded"
        return
    yield f"  network {plan.model} with weights {plan.weights} on {plan.device}, {plan.plan}"
    taken = f"about {length(plan.seconds)} in the network" if plan.seconds is not None else "time unknown"
    yield f"  about {size(plan.memory)} of memory, {taken}"
    for note in plan.notes:
        yield f"  {note}"


def kept_in_words(kept: Kept, several: bool) -> str:
    """What an interrupted or failed run keeps, and how to go on from it or be rid of it."""
    frames = f"{kept.frames} of {kept.total} frames" if kept.total is not None else counted(kept.frames, "frame")
    how = "the same command with --skip-existing" if several else "the same command"
    where = f"{size(kept.bytes)} in {kept.folder}"
    clean = f"selfhvd jobs clean {quoted(target_of(kept.folder))}"
    return f"{frames} are kept ({where}): {how} goes on from there, {clean} removes them"


def report_in_words(report: DeblurReport) -> Iterator[str]:
    """Closing lines of a run; the last one says where the result is."""
    slowest = max(report.stage_seconds, key=lambda stage: report.stage_seconds[stage])
    resumed = f", {report.frames_resumed} of them before it was interrupted," if report.frames_resumed else ""
    yield (
        f"{counted(report.frames, 'frame')}{resumed} in {length(report.seconds)} "
        f"({report.frames_per_second:.3g} frames/s, limited by {STAGES[slowest]})"
    )
    if report.model is not None:
        yield from _restoration(report)
    for event in report.events:
        yield f"note: {event}"
    yield from _receipt(report)
    yield f"{report.target}: {size(report.bytes_before)} → {size(report.bytes_after)}"


def _restoration(report: DeblurReport) -> Iterator[str]:
    changed = f"{report.frames_changed} of {counted(report.frames, 'frame')} changed"
    if report.frames_changed:
        changed += f", strength {report.strength:.2f} on average, {report.held_back:.0%} of the picture held back"
    yield changed
    before, after = report.sharpness_before, report.sharpness_after
    if before is not None and after is not None:
        yield (
            f"sharpness {before.mean:.0f} → {after.mean:.0f} on average, "
            f"{before.min:.0f} → {after.min:.0f} at the lowest"
        )
    for reason, count in report.reasons.items():
        yield f"held back in {counted(count, 'frame')}: {reason}"


def _receipt(report: DeblurReport) -> Iterator[str]:
    def lines(section: str) -> list[str]:
        return [
            f"{line['what']} ({line['reason']})" if line["reason"] else line["what"]
            for line in report.receipt[section]
        ]

    if kept := lines("kept"):
        yield f"kept: {', '.join(kept)}"
    for section, word in (("changed", "changed"), ("left_out", "left out"), ("notes", "note")):
        for line in lines(section):
            yield f"{word}: {line}"
