"""`selfhvd synth`: blurry/sharp pairs from sharp pictures or sharp video."""

from __future__ import annotations

from pathlib import Path

import click

from selfhvd_cli.cli.console import Console, pass_console
from selfhvd_cli.cli.options import Command, output_options, overwrite_option, seed_option
from selfhvd_cli.cli.parameters import width_height
from selfhvd_cli.cli.progress import State, progress_display

NOISE = {"auto": None, "day": False, "night": True}


@click.command(cls=Command)
@click.argument("sharp", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder to make the clips in.")
@click.option("--clips", type=click.IntRange(min=1), help="Clips from photographs (1).")
@click.option("--frames", type=click.IntRange(min=2), help="Frames of each clip from photographs (30).")
@click.option("--size", help="Width×height of each clip from photographs in pixels (1280x720).")
@click.option(
    "--severity",
    type=click.FloatRange(min=0.0),
    help="Blur of the worst tenth of the frames in pixels, from photographs.",
)
@click.option(
    "--noise",
    type=click.Choice(sorted(NOISE)),
    default="auto",
    show_default=True,
    help="Sensor noise, from photographs.",
)
@click.option(
    "--flow/--no-flow", default=None, help="Write the exact flow to the next frame, or not; from photographs it is."
)
@click.option(
    "--motion", type=click.Path(path_type=Path), help="Rotation log of a real phone to shake photographs by."
)
@seed_option
@overwrite_option
@output_options
@pass_console
def synth(
    console: Console,
    sharp: Path,
    output: Path,
    clips: int | None,
    frames: int | None,
    size: str | None,
    severity: float | None,
    noise: str,
    flow: bool | None,
    motion: Path | None,
    seed: int,
    overwrite: bool,
) -> None:
    """Make blurry/sharp training pairs from SHARP: photographs (hand shake) or sharp video (GoProShake).

    A photograph, or a folder of them, is filmed by a synthetic hand. A video, or a folder of its frames (one name,
    numbered evenly, of one size), is averaged over runs of frames whose length follows the camera's speed; about a
    third of its frames stays sharp.
    """
    from selfhvd_cli.synth_pairs import synth as make

    with progress_display(console, sharp.name) as display:
        made = make(
            sharp,
            output,
            clips=clips,
            frames=frames,
            size=None if size is None else width_height(size)[::-1],
            seed=seed,
            severity=severity,
            night=NOISE[noise],
            flow=flow,
            motion=motion,
            overwrite=overwrite,
            on_progress=lambda report: display.show(State(report.clip, report.frame + 1, report.frames)),
        )
    for clip in made:
        console.say(f"{clip.folder}: {clip.frames} pairs, {clip.sharp} of them sharp")
    if console.json:
        console.data([{"clip": clip.folder, "frames": clip.frames, "sharp": clip.sharp} for clip in made])
