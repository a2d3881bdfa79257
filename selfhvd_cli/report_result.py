"""Report on a deblurred clip: a page with both pictures, plots, scores, settings and the receipt."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path

from selfhvd_cli.compare_videos import compare_steps
from selfhvd_cli.comparing.job import CompareJob, CompareProgress, Comparison
from selfhvd_cli.deblurring.report import DeblurReport
from selfhvd_cli.moments import Moment, as_moment
from selfhvd_cli.steps import run_through

LABELS = ("before", "after")


def report(
    done: DeblurReport,
    target: str | Path,
    *,
    start: str | float | Moment | None = None,
    duration: str | float | Moment | None = None,
    details: Mapping[str, Sequence[str]] | None = None,
    overwrite: bool = False,
    offline: bool = False,
    on_progress: Callable[[CompareProgress], None] | None = None,
) -> Comparison:
    """Make a page of what `deblur` did; the twin of `selfhvd deblur --report`.

    Args:
        done: what `deblur` gave.
        target: the page, ending in .html; or a video or sheet, as `compare` makes them.
        start, duration: as they were given to `deblur`.
        details: further sections, heading → lines.

    Raises:
        SelfHVDError: as `compare`.
    """
    begin, length = as_moment(start), as_moment(duration)
    return run_through(
        report_steps(done, Path(target), begin, length, details or {}, overwrite, offline),
        lambda step: step.comparison,
        on_progress,
    )


def report_steps(
    done: DeblurReport,
    target: Path,
    start: Moment | None,
    duration: Moment | None,
    details: Mapping[str, Sequence[str]],
    overwrite: bool = False,
    offline: bool = False,
) -> Generator[CompareProgress, None, None]:
    """Make a page, reporting as it goes; the last report holds the `Comparison`."""
    yield from compare_steps(
        CompareJob(
            first=done.source,
            second=done.target,
            target=target,
            title=f"{done.source.name}, before and after",
            labels=LABELS,
            start=start,
            duration=duration,
            whole=(done.target,),
            overwrite=overwrite,
            details={"Settings": settings(done), "Result": result(done), "Receipt": receipt(done), **details},
            offline=offline,
        )
    )


def settings(done: DeblurReport) -> list[str]:
    """What a run was asked for and what it ran on."""
    if done.model is None:
        return ["strength 0: no network was used"]
    return [
        f"network: {done.model}",
        f"weights: {done.weights} (sha256 {done.weights_sha256})",
        f"device: {done.device}",
        f"cut into: {done.plan}",
    ]


def result(done: DeblurReport) -> list[str]:
    """What the run did to the pictures."""
    lines = [f"input: {done.source}", f"output: {done.target}"]
    if done.model is not None:
        changed = f"{done.frames_changed} of {done.frames} frames"
        lines.append(f"changed: {changed}, strength {done.strength:.2f} on average")
        lines.append(f"held back: {done.held_back:.0%} of the picture")
    lines += [f"held back in {count} of {done.frames} frames: {reason}" for reason, count in done.reasons.items()]
    before, after = done.sharpness_before, done.sharpness_after
    if before is not None and after is not None:
        lines.append(f"sharpness, mean: {before.mean:.1f} → {after.mean:.1f}")
        lines.append(f"sharpness, lowest frame: {before.min:.1f} → {after.min:.1f}")
    lines.append(f"time: {done.seconds:.0f} s, {done.frames_per_second:.3g} frames/s")
    lines.append(f"size: {done.bytes_before / 1e6:.1f} MB → {done.bytes_after / 1e6:.1f} MB")
    return lines + [f"note: {event}" for event in done.events]


def receipt(done: DeblurReport) -> list[str]:
    """What of the file was kept, changed and left out."""
    words = {"kept": "kept", "changed": "changed", "left_out": "left out", "notes": "note"}
    return [
        f"{word}: {line['what']}" + (f" ({line['reason']})" if line["reason"] else "")
        for section, word in words.items()
        for line in done.receipt[section]
    ]
