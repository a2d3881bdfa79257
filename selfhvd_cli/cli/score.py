"""`selfhvd score`: quality in numbers, with or without a reference."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from selfhvd_cli.cli.console import Console, pass_console
from selfhvd_cli.cli.options import (
    Command,
    device_option,
    offline_option,
    option,
    output_options,
    overwrite_option,
    seed_option,
    span_options,
)
from selfhvd_cli.cli.progress import paced_display
from selfhvd_cli.steps import run_through

if TYPE_CHECKING:
    from selfhvd_cli.quality.report import ScoreReport


def _list_metrics(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if not value:
        return
    from selfhvd_cli.quality.metrics import METRICS

    console = context.ensure_object(Console)
    if console.json:
        console.data({"metrics": list(METRICS.values())})
        context.exit()
    for metric in METRICS.values():
        way = "higher is better" if metric.higher_is_better else "lower is better"
        click.echo(f"{metric.name:10} {metric.title}: {metric.about} ({way})")
    click.echo("Any other metric of pyiqa is known by its name there.")
    context.exit()


@click.command(cls=Command)
@click.argument("videos", metavar="VIDEO...", nargs=-1, required=True, type=click.Path(path_type=Path))
@option("--reference", type=click.Path(path_type=Path), metavar="REF",
        help="The sharp original: gives PSNR, SSIM, LPIPS and VMAF.")  # fmt: skip
@option("--metrics", metavar="NAME,NAME...", help="Metrics to take, see --list; default: all that run as things are.")
@click.option("--list", is_flag=True, expose_value=False, callback=_list_metrics, help="List the metrics and end.")
@option("--every", type=click.IntRange(min=1), default=1, show_default=True, help="Score each so manyth frame.")
@option("--csv", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.csv",
        help="Write the values of every frame.")  # fmt: skip
@option("--plot", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.png",
        help="Draw the metrics over time.")  # fmt: skip
@span_options
@overwrite_option
@device_option
@offline_option
@seed_option
@output_options
@pass_console
def score(
    console: Console, videos: Sequence[Path], csv: Path | None, plot: Path | None, overwrite: bool, **given: Any
) -> None:
    """Measure the quality of each VIDEO; with two or more, arrows tell which are better than the first.

    A VIDEO is a file or a folder of numbered frames. ± is half the 95 % interval of the mean over frames; ▲ and ▼
    mean that the difference to the first video, frame by frame, is surely better or worse, ≈ that it may be chance.
    """
    from selfhvd_cli.quality.report import as_csv
    from selfhvd_cli.quality.side_file import side_file, write_side_file

    inputs = [*videos, *([] if given["reference"] is None else [given["reference"]])]
    table_file = side_file("--csv", csv, ".csv", inputs, overwrite)
    plot_file = side_file("--plot", plot, ".png", inputs, overwrite)
    report = _score(console, tuple(videos), **given)
    if table_file is not None:
        write_side_file(table_file, as_csv(report).encode())
    if plot_file is not None:
        write_side_file(plot_file, _plot(report))
    _say(console, report)
    for path in (csv, plot):
        if path is not None:
            console.say(f"written: {path}")
    if console.json:
        console.data(report)


def _score(console: Console, videos: tuple[Path, ...], metrics: str | None, **given: Any) -> ScoreReport:
    from selfhvd_cli.quality.job import ScoreJob
    from selfhvd_cli.quality.metrics import parse_names
    from selfhvd_cli.quality.names import short_names
    from selfhvd_cli.score_video import score_steps

    job = ScoreJob(videos=videos, metrics=parse_names(metrics), **given)
    names = dict(zip(videos, short_names(videos), strict=True))
    with paced_display(console, "score") as show:
        return run_through(
            score_steps(job), lambda step: step.report, lambda step: show(names[step.video], step.done, step.total)
        )


def _say(console: Console, report: ScoreReport) -> None:
    from selfhvd_cli.quality.names import short_names
    from selfhvd_cli.quality.report import table

    if report.reference is not None:
        console.say(f"against {report.reference}")
    console.table(*table(report, short_names([video.video for video in report.videos])))
    if len(report.videos) > 1:
        console.say("▲ better, ▼ worse than the first video, ≈ no sure difference")
    for note in report.notes:
        console.say(note, "dim")


def _plot(report: ScoreReport) -> bytes:
    from selfhvd_cli.quality.names import short_names
    from selfhvd_cli.quality.plots import Series, plot_bytes, plot_scores
    from selfhvd_cli.training.sharpness import SEGMENT, find_sharp_frames

    names = short_names([video.video for video in report.videos])
    sharp = []
    for name, video in zip(names, report.videos, strict=True):
        if (one := video.of("sharpness")) is not None:
            found = find_sharp_frames(one.values, max(1, SEGMENT // report.every))
            times = [video.times[frame] for frame in one.frames]
            sharp.append(Series(name, times, one.values, found.indices, found.threshold))
    return plot_bytes(plot_scores(report, names, sharp), "png")
