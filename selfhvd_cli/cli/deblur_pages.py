"""`deblur --report`: a page for every clip of a run."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from selfhvd_cli.cli.batch import Batch, check_folder, means_folder, place_of
from selfhvd_cli.cli.console import Console
from selfhvd_cli.cli.progress import paced_display
from selfhvd_cli.deblurring.job import DeblurJob
from selfhvd_cli.deblurring.report import DeblurReport
from selfhvd_cli.errors import DiskFault, UsageFault
from selfhvd_cli.report_result import report_steps
from selfhvd_cli.video.output_file import OutputFile

ENDINGS = (".html", ".htm")


def page_maker(
    console: Console, batch: Batch, place: str, overwrite: bool, words: Sequence[str]
) -> Callable[[DeblurJob, DeblurReport], None]:
    """What makes the page of a job that is done; all that can be refused is refused here, before any work.

    Args:
        place: the page, or a folder for the pages of several clips.
        words: of the command line after `selfhvd deblur`.

    Raises:
        UsageFault: the place is none for a page, or there is one already.
        DiskFault: it cannot be written.
    """
    folder = means_folder(place)
    pages = _pages(batch, place, folder)
    if folder:
        check_folder(Path(place), "--report")
    for source, page in pages.items():
        if not folder:
            OutputFile(page, source, overwrite)
        elif page.exists() and not overwrite:
            raise UsageFault(f"{page}: exists already; use --overwrite, or give --report another place.")

    def make(job: DeblurJob, done: DeblurReport) -> None:
        page = pages[job.source]
        if folder:
            try:
                page.parent.mkdir(parents=True, exist_ok=True)
            except OSError as fault:
                raise DiskFault(f"{page.parent}: cannot be made ({fault.strerror}).") from fault
        command = {"Command": [shlex.join(["selfhvd", "deblur", *words])]}
        steps = report_steps(done, page, job.start, job.duration, command, overwrite, job.offline)
        with paced_display(console, page.name) as show, closing(steps):
            for step in steps:
                show(step.phase, step.done, step.total)
        console.say(f"{page}: before and after, plots, scores, settings and receipt; open it in a browser")

    return make


def _pages(batch: Batch, place: str, folder: bool) -> dict[Path, Path]:
    if folder:
        pages = {pair.source: Path(place) / f"{pair.target.stem}.html" for pair in batch.pairs}
        if len({place_of(page) for page in pages.values()}) < len(pages):
            raise UsageFault(f"--report {place}: two clips have the same name; report on them apart.")
        return pages
    if Path(place).suffix.lower() not in ENDINGS:
        raise UsageFault(f"--report {place}: a page ends in .html; end a folder for several pages in /.")
    if len(batch.pairs) > 1:
        raise UsageFault(f"--report {place}: there are {len(batch.pairs)} clips, so give a folder; end it in /.")
    return {pair.source: Path(place) for pair in batch.pairs}
