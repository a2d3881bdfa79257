"""`selfhvd deblur`: takes the blur out of clips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from selfhvd_cli.cli.config import is_typed, nearer
from selfhvd_cli.cli.console import Console, pass_console
from selfhvd_cli.cli.options import (
    WORDS,
    Command,
    add_options,
    compute_options,
    dry_run_option,
    encoding_options,
    model_options,
    option,
    output_options,
    overwrite_option,
    seed_option,
    size_options,
    skip_existing_option,
    span_options,
    strength_option,
)
from selfhvd_cli.errors import UsageFault


def _device_list(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in value.split(",")) if value else ()


@click.command(cls=Command)
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", metavar="FILE|FOLDER", help="Result; a folder if it exists or ends in /.")
@add_options(
    strength_option,
    model_options,
    option("--adapt", is_flag=True, help="First train the network on the clip itself, as selfhvd adapt does."),
    option("--steps", type=click.IntRange(min=1), help="Steps of --adapt; default 2000."),
    option("--report", metavar="FILE.html|FOLDER/", help="Make a page, too: both pictures, plots, scores, receipt."),
    click.option("--taste", is_flag=True, help="Only show the three most blurred seconds, before and after."),
    compute_options,
    option(
        "--devices",
        callback=_device_list,
        metavar="cuda:0,cuda:1",
        help="Share the clips between these, or a single clip; the result is the same.",
    ),
    size_options,
    span_options,
    encoding_options,
    seed_option,
    option("--salvage", is_flag=True, help="Of a clip that is cut off take the part that is there."),
    option("--no-resume", is_flag=True, help="Begin anew, and keep nothing to go on from if it is interrupted."),
    overwrite_option,
    skip_existing_option,
    dry_run_option,
    output_options,
)
@pass_console
def deblur(
    console: Console,
    inputs: tuple[Path, ...],
    output: str | None,
    overwrite: bool,
    skip_existing: bool,
    dry_run: bool,
    adapt: bool,
    steps: int | None,
    report: str | None,
    taste: bool,
    codec: str | None,
    crf: int | None,
    preset: str | None,
    hardware: bool,
    no_resume: bool,
    **settings: Any,
) -> None:
    """Take the blur out of clips and keep everything else: sound, times, orientation, colours, tags.

    INPUT is a video file, a folder of numbered PNG/JPEG frames, or a folder of clips. The result is
    clip_deblurred.<ending> beside clip, or what -o says. Of a long clip finished segments are kept beside the result
    until it is done: an interrupted run goes on when the same command is typed again (see selfhvd jobs).
    """
    from selfhvd_cli.cli.batch import check_inputs_stay, plan_batch, without_existing
    from selfhvd_cli.cli.deblur_runs import run_all, show_plans
    from selfhvd_cli.deblurring.job import DeblurJob, check_target
    from selfhvd_cli.video.encoders import Encoding

    context = click.get_current_context()
    if overwrite and skip_existing:
        skip_existing = not nearer(context, "skip_existing", "overwrite")
        overwrite = not skip_existing
    if settings["devices"] and (settings["device"] != "auto" or not is_typed(context, "devices")):
        if nearer(context, "devices", "device"):
            settings["devices"] = ()
        else:
            settings["device"] = "auto"
    if steps is not None and not adapt and is_typed(context, "steps"):
        raise UsageFault("--steps belongs to --adapt; give both or neither.")
    if taste:
        adapt = adapt and is_typed(context, "adapt")
        report = report if is_typed(context, "report") else None
    words = context.meta.get(WORDS, ())
    encoding = Encoding(codec, crf, preset, hardware)
    batch = plan_batch(inputs, output)
    # A taste has a place of its own, which it guards itself: a result that is there already is not touched.
    if skip_existing and not taste:
        batch = without_existing(batch)
    if not taste:
        check_inputs_stay(batch)
        for pair in batch.pairs:
            check_target(pair.source, pair.target, overwrite)
    for path in batch.skipped:
        console.say(f"{path}: left aside, it is a result or has one already")
    jobs = [
        DeblurJob(pair.source, pair.target, encoding=encoding, overwrite=overwrite, resume=not no_resume, **settings)
        for pair in batch.pairs
    ]
    if taste:
        if len(jobs) != 1 or adapt or dry_run or report is not None:
            raise UsageFault("--taste is for one clip as it is: give it without --adapt, --report and --dry-run.")
        from selfhvd_cli.cli.deblur_taste import run_taste

        with batch.pairs[0].folder():
            run_taste(console, jobs[0], words)
        return
    make_page = None
    if report is not None:
        from selfhvd_cli.cli.deblur_pages import page_maker

        make_page = page_maker(console, batch, report, overwrite, words)
    if adapt and not dry_run:
        from selfhvd_cli.cli.adapt import adapt_first

        jobs = [adapt_first(console, job, steps) for job in jobs]
    if dry_run:
        show_plans(console, batch, jobs)
    else:
        run_all(console, batch, jobs, make_page)
