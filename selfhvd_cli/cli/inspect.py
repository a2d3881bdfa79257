"""`selfhvd inspect`: where a clip is blurred, how much, and what to run."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import click

from selfhvd_cli.cli.console import Console, pass_console
from selfhvd_cli.cli.options import Command, option, output_options, overwrite_option, span_options
from selfhvd_cli.cli.progress import length, paced_display, size
from selfhvd_cli.counting import counted
from selfhvd_cli.moments import Moment
from selfhvd_cli.steps import run_through

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from selfhvd_cli.training.inspection import Inspection

BARS = "▁▂▃▄▅▆▇█"
WIDEST = 72
"""Columns of the map of the clip."""

LISTED = 12
"""Blurred stretches that are listed without -v."""


@click.command(cls=Command)
@click.argument("clip", type=click.Path(path_type=Path))
@option("--plot", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.png",
        help="Draw sharpness over time, with the threshold and the chosen sharp frames.")  # fmt: skip
@option("--segment", type=click.IntRange(min=1), default=20, show_default=True,
        help="Frames of a segment; each gives at least one sharp frame.")  # fmt: skip
@option("--estimate/--no-estimate", default=True, show_default=True,
        help="Where deblurring helps, try the network for a moment to tell what it will cost here.")  # fmt: skip
@span_options
@overwrite_option
@output_options
@pass_console
def inspect(
    console: Console,
    clip: Path,
    plot: Path | None,
    segment: int,
    estimate: bool,
    start: Moment | None,
    duration: Moment | None,
    overwrite: bool,
) -> None:
    """Show where CLIP is blurred and how much, which frames are sharp, and whether deblurring or adapting will help.

    CLIP is a video or a folder of numbered frames. The clip is not changed, and nothing is downloaded.
    """
    from selfhvd_cli.inspect_clip import inspect_steps
    from selfhvd_cli.quality.plots import plot_bytes
    from selfhvd_cli.quality.side_file import side_file, write_side_file

    plot_file = side_file("--plot", plot, ".png", [clip], overwrite)
    steps = inspect_steps(clip, segment, start, duration, estimate)
    with paced_display(console, clip.name) as show:
        found = run_through(steps, lambda step: step.inspection, lambda step: show("inspect", step.done, step.total))
    if plot_file is not None:
        write_side_file(plot_file, plot_bytes(_plot_of(found), "png"))
    _say(console, found)
    if plot is not None:
        console.say(f"plot: {plot}")
    if console.json:
        console.data(found)


def _say(console: Console, found: Inspection) -> None:
    frames = counted(len(found.frames), "frame")
    console.say(f"{found.source}: {frames}, {found.seconds:.2f} s, {found.width}×{found.height}", "bold")
    if len(found.frames) > 1:
        console.say(_map(found))
    rows: list[tuple[str, str]] = [
        ("sharpness", "lowest {:.1f}, mean {:.1f}, highest {:.1f}".format(*_spread(found))),
        ("threshold (Otsu)", f"{found.threshold:.1f}; it explains {found.separation:.0%} of the variance"),
        ("sharp frames", f"{found.sharp_frames} of {len(found.frames)}; chosen {found.chosen_frames} "
                         f"with segments of {found.segment}"),
        ("blurred", f"{found.blurred_seconds:.2f} s; blurred frames are {found.contrast:.0%} as sharp as sharp ones"),
    ]  # fmt: skip
    console.table(("", ""), rows)
    listed = found.stretches if console.verbosity >= 1 else found.stretches[:LISTED]
    if listed:
        console.table(
            ("blurred from", "to", "frames", "sharpness left"),
            [(_at(one.start), _at(one.end), one.frames, f"{one.level:.0%}") for one in listed],
        )
    if len(listed) < len(found.stretches):
        console.say(f"and {len(found.stretches) - len(listed)} more stretches (-v lists all)")
    if console.verbosity >= 1:
        marks = {(True, True): "sharp, chosen", (True, False): "sharp", (False, True): "chosen for its segment"}
        console.table(
            ("frame", "time", "sharpness", "of nearest chosen", ""),
            [(one.index, _at(one.time), f"{one.sharpness:.1f}", f"{one.level:.0%}",
              marks.get((one.sharp, one.chosen), "")) for one in found.frames],
        )  # fmt: skip
    console.say(found.advice, "bold")
    if found.deblur_device:
        taken = "an unknown time" if found.deblur_seconds is None else f"about {length(found.deblur_seconds)}"
        console.say(f"deblurring takes {taken} and {size(found.deblur_memory or 0)} on {found.deblur_device}")
    for command in found.commands:
        console.say(f"  {command}")


def _map(found: Inspection) -> str:
    """The clip as a row of bars, each as high as its frames are sharp beside the sharpest."""
    columns = min(WIDEST, len(found.frames))
    scores = [frame.sharpness for frame in found.frames]
    edges = [round(column * len(scores) / columns) for column in range(columns + 1)]
    means = [sum(scores[a:b]) / (b - a) for a, b in pairwise(edges)]
    top = max(max(means), 1e-12)
    return "".join(BARS[min(len(BARS) - 1, int(mean / top * len(BARS)))] for mean in means)


def _spread(found: Inspection) -> Sequence[float]:
    scores = [frame.sharpness for frame in found.frames]
    return min(scores), sum(scores) / len(scores), max(scores)


def _at(seconds: Fraction) -> str:
    minutes, rest = divmod(float(seconds), 60)
    return f"{int(minutes)}:{rest:05.2f}"


def _plot_of(found: Inspection) -> Figure:
    from selfhvd_cli.quality.plots import Series, plot_over_time

    series = Series(
        found.source.name,
        [float(frame.time) for frame in found.frames],
        [frame.sharpness for frame in found.frames],
        [frame.index for frame in found.frames if frame.chosen],
        found.threshold,
    )
    blurred = [(float(one.start), float(one.end)) for one in found.stretches]
    return plot_over_time([series], "sharpness (variance of the Laplacian)", blurred=blurred)
