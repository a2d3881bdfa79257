"""`selfhvd still`: the sharpest frames as pictures."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from selfhvd_cli.cli.console import Console, pass_console
from selfhvd_cli.cli.options import Command, option, output_options, overwrite_option, span_options
from selfhvd_cli.cli.progress import paced_display
from selfhvd_cli.steps import run_through


@click.command(cls=Command)
@click.argument("source", metavar="CLIP", type=click.Path(path_type=Path))
@option("-o", "--output", "target", type=click.Path(path_type=Path), metavar="FOLDER|FILE",
        help="Folder for the pictures, or a .jpg or .png for the sharpest one; default: beside CLIP.")  # fmt: skip
@option("--count", type=click.IntRange(min=1), help="Pictures at most; default 3, or the one that -o names.")
@option("--format", type=click.Choice(["jpg", "png"]), help="Kind of picture; default: as -o says, else jpg.")
@option("--apart", type=click.FloatRange(min=0), default=0.5, show_default=True, help="Seconds between two pictures.")
@span_options
@overwrite_option
@output_options
@pass_console
def still(console: Console, **given: Any) -> None:
    """Export the sharpest frames of CLIP as pictures, upright, with date, place and camera.

    Name the deblurred clip to get restored pictures.
    """
    from selfhvd_cli.export_stills import StillJob, still_steps

    job = StillJob(**{**given, "apart": Fraction(given["apart"])})
    with paced_display(console, job.source.name) as show:
        found = run_through(
            still_steps(job), lambda step: step.stills, lambda step: show("look", step.done, step.total)
        )
    for one in found:
        console.say(f"{one.path}: frame {one.frame}, {one.seconds:.2f} s, sharpness {one.sharpness:.0f}")
    if console.json:
        console.data(found)
