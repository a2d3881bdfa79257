"""`selfhvd bench`: how fast the networks are on this machine, and how near to its limit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from selfhvd_cli.cli.console import Console, pass_console
from selfhvd_cli.cli.options import MODELS, Command, device_option, option, output_options
from selfhvd_cli.cli.parameters import width_height
from selfhvd_cli.cli.progress import State, length, progress_display
from selfhvd_cli.cli.progress import size as in_bytes
from selfhvd_cli.counting import counted

if TYPE_CHECKING:
    from selfhvd_cli.bench_machine import BenchReport, BenchRow

SIZES = ("256x256", "640x360", "1280x720", "1920x1080")
"""Of `bench_machine.SIZES`, repeated here because that module imports torch."""


@click.command(cls=Command)
@click.argument("clip", metavar="[CLIP]", required=False, type=click.Path(path_type=Path))
@option("--model", "models", multiple=True, type=click.Choice(MODELS), help="Network, may be repeated; default: all.")
@option("--precision", "precisions", multiple=True, type=click.Choice(["auto", "fp32", "bf16", "fp16"]),
        help="Arithmetic, may be repeated; auto is what deblur takes here; default: fp32 and auto.")  # fmt: skip
@option("--size", "sizes", multiple=True, default=SIZES, show_default=True, help="WIDTHxHEIGHT, may be repeated.")
@option(
    "--frames", type=click.IntRange(min=1), default=6, show_default=True, help="Frames of the clip that is timed."
)
@option("--limit", type=click.FloatRange(min=0), default=20.0, show_default=True,
        help="Seconds a measurement may take; larger frames are then worked out from smaller ones.")  # fmt: skip
@device_option
@output_options
@pass_console
def bench(
    console: Console,
    clip: Path | None,
    models: tuple[str, ...],
    precisions: tuple[str, ...],
    sizes: tuple[str, ...],
    frames: int,
    limit: float,
    device: str,
) -> None:
    """Measure frames per second, arithmetic and memory of each network, precision and frame size.

    The limit of the machine is its fastest 3x3 convolution in the same precision. With CLIP also how long deblur
    would take for it. No weights are fetched: the numbers in them do not change the time.
    """
    from selfhvd_cli.bench_machine import BenchJob, bench_steps

    job = BenchJob(
        models=models or MODELS,
        precisions=precisions,  # type: ignore[arg-type]
        sizes=tuple(width_height(text) for text in sizes),
        device=device,
        frames=frames,
        limit=limit,
        clip=clip,
    )
    report: BenchReport | None = None
    with progress_display(console, "bench") as display:
        for step in bench_steps(job):
            report = step.report
            if report is None:
                display.show(State("measuring", step.done, step.total, unit="measurements", note=step.doing))
    assert report is not None
    if console.json:
        console.data(report)
    else:
        show(console, report)


def show(console: Console, report: BenchReport) -> None:
    """The report as tables."""
    limits = ", ".join(f"{speed:.0f} GMAC/s in {name}" for name, speed in report.rooflines.items())
    threads = counted(report.threads, "thread")
    console.say(f"{report.device}, torch {report.torch}, {threads}; fastest convolution: {limits}")
    headings = ("network", "precision", "size", "frames/s", "GMAC/frame", "GMAC/s", "of the limit", "peak memory")
    console.table(headings, [_cells(row) for row in report.rows])
    if not all(row.measured for row in report.rows):
        console.say("~ worked out from the next smaller size by the number of pixels; --limit measures more.")
    if report.clip is not None:
        console.say(f"{report.clip} would take:")
        rows = [
            (each.model, each.precision, "unknown" if each.seconds is None else length(each.seconds),
             in_bytes(each.memory), each.plan)
            for each in report.estimates
        ]  # fmt: skip
        console.table(("network", "precision", "time", "memory", "in"), rows)


def _cells(row: BenchRow) -> tuple[str, ...]:
    size = f"{row.size[0]}x{row.size[1]}"
    if row.frames_per_second is None or row.gmac_a_frame is None or row.peak_memory is None:
        return (row.model, row.precision, size, "out of memory", "-", "-", "-", "-")
    mark = "" if row.measured else "~"
    return (
        row.model,
        row.precision,
        size,
        f"{mark}{row.frames_per_second:.3g}",
        f"{mark}{row.gmac_a_frame:.3g}",
        f"{mark}{row.gmac_per_second:.3g}",
        f"{mark}{row.roofline_share:.0%}",
        f"{mark}{in_bytes(row.peak_memory)}",
    )
