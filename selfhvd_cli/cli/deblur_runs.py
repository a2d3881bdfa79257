"""Runs deblur jobs one after another, shows each, and sums up; a job that fails does not keep the others from it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from selfhvd_cli.cli.batch import Batch
from selfhvd_cli.cli.console import Console
from selfhvd_cli.cli.deblur_words import plan_in_words, report_in_words
from selfhvd_cli.cli.ending import as_fault
from selfhvd_cli.cli.progress import State, progress_display
from selfhvd_cli.deblur_video import deblur_steps
from selfhvd_cli.deblurring.job import DeblurJob
from selfhvd_cli.deblurring.report import DeblurReport
from selfhvd_cli.deblurring.setup import plan_deblur
from selfhvd_cli.errors import INTERRUPTED, NAMES, BatchFault, SelfHVDError


def show_plans(console: Console, jobs: Sequence[DeblurJob]) -> None:
    """`--dry-run`: what each job would do and need.

    Raises:
        SelfHVDError: a job would not start.
    """
    plans = []
    for job in jobs:
        with console.waiting(f"{job.source.name}: trying the network for a moment"):
            plans.append(plan_deblur(job))
        for line in plan_in_words(plans[-1]):
            console.say(line)
    if console.json:
        console.data({"plans": plans})


def run_all(
    console: Console,
    batch: Batch,
    jobs: Sequence[DeblurJob],
    make_page: Callable[[DeblurJob, DeblurReport], None] | None = None,
) -> None:
    """Run the jobs of a batch in its order.

    Args:
        make_page: called after each job that is done, for `--report`.

    Raises:
        SelfHVDError: the only job failed.
        BatchFault: one of several failed.
    """
    outcome = _Outcome(console, batch.skipped)
    try:
        for number, (pair, job) in enumerate(zip(batch.pairs, jobs, strict=True), 1):
            try:
                with pair.folder():
                    outcome.done.append(_run(console, job, f"[{number}/{len(jobs)}] " if len(jobs) > 1 else ""))
                if make_page is not None:
                    make_page(job, outcome.done[-1])
            except Exception as fault:
                outcome.fail(job.source, fault)
                if len(jobs) == 1:
                    raise
                if console.verbosity >= 2:
                    console.detail(traceback.format_exc())
    except KeyboardInterrupt:
        among = f" after {len(outcome.done)} of {len(jobs)} clips" if len(jobs) > 1 else ""
        outcome.code = INTERRUPTED
        raise KeyboardInterrupt(f"interrupted{among}; nothing unfinished was left behind.") from None
    finally:
        outcome.tell()
    if outcome.failed:
        names = ", ".join(each["source"] for each in outcome.failed)
        raise BatchFault(f"{len(outcome.failed)} of {len(jobs)} clips failed ({names}); the others are done.")


def _run(console: Console, job: DeblurJob, prefix: str) -> DeblurReport:
    report = None
    with (
        closing(deblur_steps(job)) as steps,
        progress_display(console, prefix + job.source.name) as display,
    ):
        for step in steps:
            for message in step.messages:
                console.say(message)
            report = step.report
            if report is None:
                display.show(State(step.phase, step.done, step.total, step.rate, step.seconds_left, step.unit))
    assert report is not None
    for line in report_in_words(report):
        console.say(line)
    return report


class _Outcome:
    """What became of the jobs, for the summary and for `--json`."""

    def __init__(self, console: Console, skipped: Sequence[Path]) -> None:
        self.console = console
        self.skipped = skipped
        self.done: list[DeblurReport] = []
        self.failed: list[dict[str, Any]] = []
        self.code = 0

    def fail(self, source: Path, fault: Exception) -> None:
        known = as_fault(fault)
        self.code = known.exit_code if known else SelfHVDError.exit_code
        message = known.format_message() if known else f"{type(fault).__name__}: {fault}"
        entry = {"source": str(source), "code": self.code, "name": NAMES[self.code], "message": message}
        self.failed.append(entry)

    def tell(self) -> None:
        if len(self.done) + len(self.failed) > 1:
            self.code = self.code if self.code in (0, INTERRUPTED) else BatchFault.exit_code
            for entry in self.failed:
                self.console.warn(f"{entry['name']} ({entry['code']}): {entry['message']}")
            self.console.say(f"{len(self.done)} done, {len(self.failed)} failed, {len(self.skipped)} left aside")
        if self.console.json:
            exit_entry = {"code": self.code, "name": NAMES[self.code]}
            self.console.data({"done": self.done, "failed": self.failed, "skipped": self.skipped, "exit": exit_entry})
