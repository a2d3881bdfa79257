"""The command line: one small file a command, found by name when it is asked for."""

from __future__ import annotations

import click

from selfhvd_cli import __version__
from selfhvd_cli.cli.group import CommandRow, LazyGroup
from selfhvd_cli.cli.options import quiet_option, verbose_option
from selfhvd_cli.heap import keep_large_blocks
from selfhvd_cli.waiting import wait_asleep

COMMANDS: dict[str, CommandRow] = {
    "deblur": CommandRow("deblur:deblur", "Take the blur out of clips and keep everything else."),
    "adapt": CommandRow("adapt:adapt", "Train a network on your own clips, no sharp original needed."),
    "inspect": CommandRow("inspect:inspect", "Show where a clip is blurred and whether deblurring will help."),
    "score": CommandRow("score:score", "Measure quality, with or without a reference."),
    "compare": CommandRow("compare:compare", "Show two clips side by side."),
    "still": CommandRow("still:still", "Export the sharpest frames as pictures."),
    "synth": CommandRow("synth:synth", "Make blurry/sharp training pairs from sharp pictures."),
    "pretrain": CommandRow("pretrain:pretrain", "Train a base network on such pairs."),
    "weights": CommandRow("weights:weights", "List, fetch and check the networks' weights."),
    "jobs": CommandRow("jobs:jobs", "List and clear what interrupted runs keep, to go on from."),
    "bench": CommandRow("bench:bench", "Measure the networks' speed and memory on this machine."),
    "doctor": CommandRow("doctor:doctor", "Report versions, devices, encoders and conflicts, ready to paste."),
    "completion": CommandRow("completion:completion", "Print what a shell needs to complete commands."),
}
"""Command → where it lives below this package and its line in `--help`; listed are those whose file exists."""


@click.group(
    cls=LazyGroup,
    rows=COMMANDS,
    package=__name__,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "SELFHVD",
        "max_content_width": 100,
    },
    epilog="Most options can also be set in the environment (SELFHVD_DEVICE=cpu is --device cpu) or in a config "
    "file; selfhvd deblur --print-config shows where it is and what every option of deblur would be.",
)
@click.version_option(__version__, "-V", "--version", message="selfhvd %(version)s")
@quiet_option
@verbose_option
def selfhvd() -> None:
    """Take the blur out of handheld phone videos."""


def main() -> None:
    """The `selfhvd` command."""
    keep_large_blocks()
    wait_asleep()
    selfhvd(prog_name="selfhvd")
