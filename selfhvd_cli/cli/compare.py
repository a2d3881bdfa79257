"""`selfhvd compare`: two videos for the eye."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from selfhvd_cli.cli.config import is_typed
from selfhvd_cli.cli.console import Console, pass_console
from selfhvd_cli.cli.options import (
    Command,
    offline_option,
    option,
    output_options,
    overwrite_option,
    seed_option,
    span_options,
)
from selfhvd_cli.cli.progress import paced_display
from selfhvd_cli.counting import counted
from selfhvd_cli.steps import run_through


@click.command(cls=Command)
@click.argument("first", metavar="A", type=click.Path(path_type=Path))
@click.argument("second", metavar="B", type=click.Path(path_type=Path))
@option("-o", "--output", "target", required=True, type=click.Path(path_type=Path, dir_okay=False),
        metavar="OUT.mp4|.html|.png", help="A video, a page or a sheet of crops, by its ending.")  # fmt: skip
@option("--layout", type=click.Choice(["side", "split"]), default="side", show_default=True,
        help="Of a video: side by side, or the left half of A and the right half of B.")  # fmt: skip
@option("--label", "labels", nargs=2, metavar="A B", help="Names to show; default: the files'.")
@option("--also", multiple=True, type=click.Path(path_type=Path), metavar="VIDEO",
        help="Another video for a page's scores and plots, such as somebody else's result.")  # fmt: skip
@option("--metrics", metavar="NAME,NAME...", help="Metrics of a page's table, see selfhvd score --list.")
@option("--every", type=click.IntRange(min=1), help="Score each so manyth frame for a page; default: 40 or so.")
@span_options
@overwrite_option
@offline_option
@seed_option
@output_options
@pass_console
def compare(console: Console, **given: Any) -> None:
    """Show A and B beside each other, frame by frame: both of one size and length.

    A video keeps the sound of A. A page is one file that opens in any browser, without a network: video and stills
    with a slider, zoom to full pixels, plots and scores. A sheet shows full-size crops of A's worst, median and best
    frame.
    """
    from selfhvd_cli.compare_videos import CompareJob, compare_steps
    from selfhvd_cli.quality.metrics import parse_names

    job = CompareJob(**{**given, "labels": given["labels"] or None, "metrics": parse_names(given["metrics"])})
    context = click.get_current_context()
    job = replace(job, **{name: blank for name, blank in job.idle.items() if not is_typed(context, name)})
    with paced_display(console, "compare") as show:
        made = run_through(
            compare_steps(job), lambda step: step.comparison, lambda step: show(step.phase, step.done, step.total)
        )
    for note in made.notes:
        console.say(note, "dim")
    console.say(f"{made.target}: {counted(made.frames, 'frame')} compared", "bold")
    if console.json:
        console.data(made)
