"""Runs deblur jobs, in turn or side by side, shows each, and sums up; one that fails does not stop the others."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from selfhvd_cli.cli.batch import Batch, Pair, remove_empty
from selfhvd_cli.cli.console import Console
from selfhvd_cli.cli.deblur_words import kept_in_words, plan_in_words, report_in_words
from selfhvd_cli.cli.ending import as_fault
from selfhvd_cli.cli.progress import ProgressDisplay, State, progress_display, progress_displays
from selfhvd_cli.deblur_clips import deblur_clips
from selfhvd_cli.deblur_video import deblur_steps
from selfhvd_cli.deblurring.job import DeblurJob
from selfhvd_cli.deblurring.kept import Kept, as_it_is_now
from selfhvd_cli.deblurring.rehearsal import rehearse
from selfhvd_cli.deblurring.report import DeblurReport, Progress
from selfhvd_cli.deblurring.setup import plan_deblur
from selfhvd_cli.errors import INTERRUPTED, NAMES, BatchFault, DiskFault, SelfHVDError

MakePage = Callable[[DeblurJob, DeblurReport], None]


def show_plans(console: Console, batch: Batch, jobs: Sequence[DeblurJob]) -> None:
    """`--dry-run`: what each job would do and need.

    Raises:
        SelfHVDError: the only job would not start.
        BatchFault: of several one would not.
    """
    plans = []
    failed = []
    for pair, job in zip(batch.pairs, jobs, strict=True):
        try:
            with console.waiting(f"{job.source.name}: trying the network for a moment"):
                pair.check_folder()
                rehearse(job, pair.makes_folder)
                plans.append(plan_deblur(job))
        except Exception as fault:
            if len(jobs) == 1:
                raise
            failed.append(_entry(job.source, fault))
            console.warn(f"{failed[-1]['name']} ({failed[-1]['code']}): {failed[-1]['message']}")
        else:
            for line in plan_in_words(plans[-1]):
                console.say(line)
    if console.json:
        console.data({"plans": plans, "failed": failed})
    if failed:
        names = ", ".join(each["source"] for each in failed)
        raise BatchFault(f"{len(failed)} of {len(jobs)} clips would fail ({names}); the others would be done.")


def _entry(source: Path, fault: Exception) -> dict[str, Any]:
    """What `--json` says of a job that failed."""
    known = as_fault(fault)
    code = known.exit_code if known else SelfHVDError.exit_code
    message = known.format_message() if known else f"{type(fault).__name__}: {fault}"
    return {"source": str(source), "code": code, "name": NAMES[code], "message": message}


def run_all(
    console: Console,
    batch: Batch,
    jobs: Sequence[DeblurJob],
    make_page: MakePage | None = None,
) -> None:
    """Run the jobs of a batch: in its order, or side by side where there are several devices.

    Args:
        make_page: called after each job that is done, for `--report`.

    Raises:
        SelfHVDError: the only job failed.
        BatchFault: one of several failed.
    """
    outcome = _Outcome(console, batch.skipped, several=len(jobs) > 1)
    devices = jobs[0].devices if jobs else ()
    run = _run_together if 1 < len(devices) <= len(jobs) else _run_in_turn
    try:
        run(console, batch.pairs, jobs, outcome, make_page)
    except KeyboardInterrupt:
        among = f" after {len(outcome.done)} of {len(jobs)} clips" if len(jobs) > 1 else ""
        outcome.code = INTERRUPTED
        left = "; ".join(outcome.kept_in_words()) or "nothing unfinished was left behind"
        raise KeyboardInterrupt(f"interrupted{among}; {left}.") from None
    finally:
        outcome.tell()
    for line in outcome.kept_in_words():
        console.say(line)
    if outcome.failed:
        names = ", ".join(each["source"] for each in outcome.failed)
        raise BatchFault(f"{len(outcome.failed)} of {len(jobs)} clips failed ({names}); the others are done.")


def _run_in_turn(
    console: Console, pairs: Sequence[Pair], jobs: Sequence[DeblurJob], outcome: _Outcome, make_page: MakePage | None
) -> None:
    """One clip after the other; each is cut between its devices, if it has several."""
    for number, (pair, job) in enumerate(zip(pairs, jobs, strict=True), 1):
        try:
            with pair.folder():
                prefix = f"[{number}/{len(jobs)}] " if len(jobs) > 1 else ""
                outcome.done.append(_run(console, job, prefix, outcome))
            if make_page is not None:
                make_page(job, outcome.done[-1])
        except Exception as fault:
            outcome.fail(job.source, fault, traceback.format_exc())
            if len(jobs) == 1:
                for line in outcome.kept_in_words():
                    console.say(line)
                raise


def _run(console: Console, job: DeblurJob, prefix: str, outcome: _Outcome) -> DeblurReport:
    report = None
    with (
        closing(deblur_steps(job)) as steps,
        progress_display(console, prefix + job.source.name) as display,
    ):
        for step in steps:
            for message in step.messages:
                console.say(message)
            outcome.watch(job, step)
            report = step.report
            if report is None:
                display.show(_state(step))
    assert report is not None
    for line in report_in_words(report):
        console.say(line)
    return report


def _state(step: Progress) -> State:
    return State(step.phase, step.done, step.total, step.rate, step.seconds_left, step.unit)


def _run_together(
    console: Console, pairs: Sequence[Pair], jobs: Sequence[DeblurJob], outcome: _Outcome, make_page: MakePage | None
) -> None:
    """A clip on each device at the same time; pages are made when all clips are done."""
    names = [f"[{number}/{len(jobs)}] {job.source.name}" for number, job in enumerate(jobs, 1)]
    made: list[Path] = []
    startable = []
    for number, pair in enumerate(pairs):
        try:
            made += pair.make_folder()
            startable.append(number)
        except DiskFault as fault:
            outcome.fail(pair.source, fault)
    finished: dict[int, DeblurReport] = {}
    try:
        with (
            closing(deblur_clips([jobs[number] for number in startable], jobs[0].devices)) as steps,
            progress_displays(console) as add,
        ):
            shown: dict[int, tuple[ExitStack, ProgressDisplay]] = {}
            for step in steps:
                number = startable[step.number]
                if step.fault is not None:
                    outcome.fail(jobs[number].source, step.fault, step.trace)
                if number not in shown:
                    stack = ExitStack()
                    shown[number] = stack, stack.enter_context(add(names[number]))
                if step.ends:
                    shown[number][0].close()
                if step.progress is None:
                    continue
                outcome.watch(jobs[number], step.progress)
                if not step.ends:
                    shown[number][1].show(_state(step.progress))
                lines = step.progress.messages
                if step.progress.report is not None:
                    finished[number] = step.progress.report
                    lines = (*lines, *report_in_words(step.progress.report))
                for line in lines:
                    console.say(f"{names[number]}: {line}")
    finally:
        outcome.done += [report for _, report in sorted(finished.items())]
        remove_empty(made)
    if make_page is None:
        return
    for number, report in sorted(finished.items()):
        try:
            make_page(jobs[number], report)
        except Exception as fault:
            outcome.fail(jobs[number].source, fault, traceback.format_exc())


class _Outcome:
    """What became of the jobs, for the summary and for `--json`."""

    def __init__(self, console: Console, skipped: Sequence[Path], several: bool) -> None:
        self.console = console
        self.skipped = skipped
        self.several = several
        self.done: list[DeblurReport] = []
        self.failed: list[dict[str, Any]] = []
        self.code = 0
        self._kept: dict[Path, Kept] = {}

    def watch(self, job: DeblurJob, step: Progress) -> None:
        """Note what a job keeps, should it be cut off."""
        self._kept.pop(job.target, None)
        if step.kept is not None:
            self._kept[job.target] = step.kept

    def kept_in_words(self) -> list[str]:
        """What the jobs that were cut off keep."""
        found = [as_it_is_now(kept) for kept in self._kept.values()]
        return [kept_in_words(kept, self.several) for kept in found if kept is not None]

    def fail(self, source: Path, fault: Exception, trace: str = "") -> None:
        self.failed.append(_entry(source, fault))
        self.code = self.failed[-1]["code"]
        if self.console.verbosity >= 2 and trace:
            self.console.detail(trace)

    def tell(self) -> None:
        if self.several and (self.done or self.failed):
            self.code = self.code if self.code in (0, INTERRUPTED) else BatchFault.exit_code
            for entry in self.failed:
                self.console.warn(f"{entry['name']} ({entry['code']}): {entry['message']}")
            self.console.say(f"{len(self.done)} done, {len(self.failed)} failed, {len(self.skipped)} left aside")
        if self.console.json:
            exit_entry = {"code": self.code, "name": NAMES[self.code]}
            self.console.data({"done": self.done, "failed": self.failed, "skipped": self.skipped, "exit": exit_entry})
