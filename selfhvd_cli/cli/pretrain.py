"""`selfhvd pretrain`: supervised training of the embedded network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from selfhvd_cli.cli.console import Console, pass_console
from selfhvd_cli.cli.options import Command, compute_options, output_options, overwrite_option, seed_option
from selfhvd_cli.cli.progress import State, progress_display
from selfhvd_cli.errors import InputFault, UsageFault

if TYPE_CHECKING:
    from selfhvd_cli.device import Precision


@click.command(cls=Command)
@click.argument("photos", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Weights to write.")
@click.option(
    "--steps", type=click.IntRange(min=1), default=20_000, show_default=True, help="Optimizer steps in all."
)
@click.option("--batch", type=click.IntRange(min=1), default=8, show_default=True, help="Windows a step.")
@click.option("--crop", type=int, default=192, show_default=True, help="Side of the windows in pixels.")
@click.option("--sources", type=click.IntRange(1, 8), default=4, show_default=True, help="Helping frames a window.")
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), default=5e-4, show_default=True, help="Peak learning rate."
)
@click.option("--reuse", type=click.IntRange(min=1), default=4, show_default=True, help="Uses of a rendered window.")
@click.option(
    "--cascade",
    type=click.FloatRange(0.0, 1.0),
    default=0.7,
    show_default=True,
    help="Share of the steps that restore at a fraction of the size first.",
)
@click.option(
    "--balance",
    type=click.FloatRange(0.0, 1.0),
    default=0.0,
    show_default=True,
    help="How far sharp frames count as much as blurred ones.",
)
@click.option("--workers", type=click.IntRange(min=1), help="Rendering processes; default: processors less one.")
@click.option("--minutes", type=click.FloatRange(min=0.0), help="Stop after this long; the same command goes on.")
@click.option(
    "--list", "listing", type=click.Path(path_type=Path), help="File that names the photographs to use, one a line."
)
@click.option("--init", type=click.Path(path_type=Path), help="Weights to begin with, instead of random ones.")
@click.option("--keep-flow", is_flag=True, help="Train only what restores; the flow stays that of --init.")
@compute_options
@seed_option
@overwrite_option
@output_options
@pass_console
def pretrain(
    console: Console,
    photos: Path,
    output: Path,
    steps: int,
    batch: int,
    crop: int,
    sources: int,
    rate: float,
    reuse: int,
    cascade: float,
    balance: float,
    workers: int | None,
    minutes: float | None,
    listing: Path | None,
    init: Path | None,
    keep_flow: bool,
    device: str,
    precision: Precision,
    seed: int,
    overwrite: bool,
) -> None:
    """Train the embedded network on handheld clips synthesised on the fly from the PHOTOS folder.

    OUTPUT.checkpoint is kept beside the weights; the same command continues it.
    """
    from selfhvd_cli.pretrain_network import PretrainConfig, PretrainReport, pretrain_steps
    from selfhvd_cli.video.output_file import same_file
    from selfhvd_cli.weights.load import load_state_dict

    if init is not None and same_file(init, output):
        raise UsageFault(f"-o {output}: is the file of --init, which the same command needs again; name another one.")
    chosen = photos if listing is None else [photos / name for name in _lines(listing)]
    config = PretrainConfig(
        steps=steps, batch=batch, crop=crop, sources=sources, rate=rate, reuse=reuse, cascade=cascade,
        balance=balance, keep_flow=keep_flow, seed=seed,
    )  # fmt: skip
    last: PretrainReport | None = None
    start = None if init is None else load_state_dict(init)
    reports = pretrain_steps(
        chosen, output, config, device=device, precision=precision, workers=workers, minutes=minutes, start=start,
        overwrite=overwrite,
    )  # fmt: skip
    try:
        with progress_display(console, output.name) as display:
            for report in reports:
                last = report
                left = report.seconds * (report.steps - report.step)
                note = f"picture {report.picture:.4f}, flow {report.flow:.3f}, gain {report.gain:+.2f} dB"
                display.show(State("pretrain", report.step, report.steps, 1 / report.seconds, left, "steps", note))
                if report.validation is not None:
                    values = ", ".join(f"{name} {value:.2f}" for name, value in report.validation.items())
                    console.say(f"step {report.step}: {values}")
    except KeyboardInterrupt:
        kept = output.with_name(output.name + ".checkpoint")
        where = f"the same command goes on from {kept}" if kept.exists() else "nothing was kept yet"
        raise KeyboardInterrupt(f"interrupted; {where}.") from None
    console.say(f"{output} ({output.stat().st_size / 1e6:.1f} MB)" if output.exists() else "nothing trained")
    if console.json and last is not None:
        console.data(last)


def _lines(listing: Path) -> list[str]:
    """The names in a list, without empty lines."""
    try:
        text = listing.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as fault:
        raise InputFault(f"{listing}: is no text in UTF-8 ({fault.reason}); write the list anew.") from None
    except OSError as fault:
        raise InputFault(f"{listing}: no list of photographs can be read there ({fault.strerror}).") from None
    return [line.strip() for line in text.splitlines() if line.strip()]
