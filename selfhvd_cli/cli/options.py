"""The options that several commands share, each defined once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from selfhvd_cli.cli.console import Console
from selfhvd_cli.cli.parameters import AutoNumber, MemoryType, MomentType, stricter
from selfhvd_cli.errors import UsageFault

F = TypeVar("F", bound=Callable[..., Any])

MODELS = ("lite", "ifirnn", "estrnn", "basicvsrpp", "rvrt")
"""Names of `restore.architectures.ARCHITECTURES`, repeated here because that table imports torch."""

CODECS = ("h264", "hevc", "av1", "prores", "ffv1")
"""Codecs of `video.writer.Encoding`, repeated for the same reason."""

FFMPEG_HABITS = {
    "-c:v": "--codec",
    "-codec:v": "--codec",
    "-vcodec": "--codec",
    "-crf": "--crf",
    "-preset": "--preset",
    "-y": "--overwrite",
    "-ss": "--start",
    "-t": "--duration",
}
"""Spellings that fingers know from ffmpeg → ours; accepted, and not listed in the help."""


WORDS = "selfhvd.words"
"""Key of a context's `meta` for the words after the command, as they were typed."""


class Command(click.Command):
    """A command that understands `FFMPEG_HABITS` for the options it has, the config file and `--print-config`.

    Its values are taken as `parameters.stricter` has them.
    """

    def __init__(self, *arguments: Any, **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        for parameter in self.params:
            parameter.type = stricter(parameter)
        about = "Print the settings, and where each comes from, and end."
        self.params.append(click.Option(["--print-config"], is_flag=True, expose_value=False, help=about))

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        known = {name for parameter in self.params for name in parameter.opts}
        end = arguments.index("--") if "--" in arguments else len(arguments)
        ours = [FFMPEG_HABITS.get(word, word) for word in arguments[:end]]
        kept = [
            new if new in known and old not in known else old for old, new in zip(arguments[:end], ours, strict=True)
        ]
        context.meta[WORDS] = tuple(arguments)
        if not context.resilient_parsing:
            from selfhvd_cli.cli.config import defaults_of, settings_in_words

            context.default_map = defaults_of(context)
            if "--print-config" in kept:
                click.echo(settings_in_words(context, kept + arguments[end:]))
                context.exit()
        return super().parse_args(context, kept + arguments[end:])

    def invoke(self, context: click.Context) -> Any:
        try:
            os.getcwd()
        except FileNotFoundError:  # torch ends the process there, with a message about its own files
            raise UsageFault("the folder that this was typed in has been removed; cd to one that exists.") from None
        return super().invoke(context)


def option(*names: str, environment: Sequence[str] = (), **attributes: Any) -> Callable[[F], F]:
    """A `click.option` mirrored in the environment: `--max-memory` is SELFHVD_MAX_MEMORY for every command."""
    long = next(name for name in names if name.startswith("--")).partition("/")[0]
    mirror = "SELFHVD_" + long.removeprefix("--").upper().replace("-", "_")
    return click.option(*names, envvar=[mirror, *environment], **attributes)


def add_options(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, in the order in which the help shall list them."""

    def decorate(command: F) -> F:
        for decorator in reversed(options):
            command = decorator(command)
        return command

    return decorate


def _set_on_console(attribute: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def remember(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value is not None and value is not False:
            setattr(context.ensure_object(Console), attribute, value)

    return remember


def _verbosity(sign: int) -> Callable[[click.Context, click.Parameter, int], None]:
    def remember(context: click.Context, parameter: click.Parameter, value: int) -> None:
        console = context.ensure_object(Console)
        if value:
            console.verbosity = sign * max(abs(console.verbosity), int(value))

    return remember


# ---- what is printed --------------------------------------------------------------------------------------

quiet_option = option(
    "-q", "--quiet", is_flag=True, expose_value=False, is_eager=True, callback=_verbosity(-1),
    help="Print warnings and errors only.",
)  # fmt: skip
verbose_option = option(
    "-v", "--verbose", count=True, expose_value=False, is_eager=True, callback=_verbosity(1),
    help="Print details; -vv also where an error came from.",
)  # fmt: skip
json_option = option(
    "--json", is_flag=True, expose_value=False, is_eager=True, callback=_set_on_console("json"),
    help="Print the result as JSON on stdout.",
)  # fmt: skip
progress_option = option(
    "--progress", type=click.Choice(["auto", "rich", "plain", "json", "none"]), default="auto", show_default=True,
    expose_value=False, is_eager=True, callback=_set_on_console("progress"),
    help="How progress is shown on stderr; auto is rich on a terminal, else plain lines.",
)  # fmt: skip
output_options = add_options(json_option, progress_option, quiet_option, verbose_option)
"""What every command takes; their values live in the `Console`, not in the command's arguments."""

# ---- which network, and where it runs ---------------------------------------------------------------------

model_option = option(
    "--model", type=click.Choice(MODELS), default="lite", show_default=True, help="Network; lite needs no download."
)
weights_option = option(
    "--weights", metavar="NAME|FILE", help="Weights by manifest name or file, instead of the network's default."
)
device_option = option("--device", default="auto", show_default=True, metavar="auto|cuda[:N]|mps|cpu",
                       help="Where the network runs.")  # fmt: skip
precision_option = option("--precision", type=click.Choice(["auto", "fp32", "bf16", "fp16"]), default="auto",
                          show_default=True, help="Arithmetic of the network.")  # fmt: skip
offline_option = option("--offline", is_flag=True, environment=["HF_HUB_OFFLINE"],
                        help="Never touch the network; use what is here.")  # fmt: skip
seed_option = option("--seed", type=click.IntRange(min=0), default=0, show_default=True,
                     help="Same seed, same result on one machine.")  # fmt: skip
model_options = add_options(model_option, weights_option, offline_option)
compute_options = add_options(device_option, precision_option)

# ---- how the work is cut ----------------------------------------------------------------------------------

tile_option = option("--tile", type=AutoNumber(minimum=64), default="auto", show_default=True,
                     help="Side of the squares a frame is cut into, in pixels.")  # fmt: skip
window_option = option("--window", type=AutoNumber(minimum=1), default="auto", show_default=True,
                       help="Frames the network sees at a time.")  # fmt: skip
max_memory_option = option("--max-memory", type=MemoryType(), help="Memory the network may use, such as 6G or 500M.")
size_options = add_options(tile_option, window_option, max_memory_option)

# ---- which part of a clip, and what becomes of it ----------------------------------------------------------

start_option = option("--start", type=MomentType(), help="Begin here: 5s, 5, 120f (frames) or 1:02.5.")
duration_option = option("--duration", type=MomentType(), help="Take this much: 5s, 5, 120f (frames) or 1:02.5.")
span_options = add_options(start_option, duration_option)
strength_option = option("--strength", type=click.FloatRange(0, 1), default=1.0, show_default=True,
                         help="How much of the restoration to take; 0 only re-encodes.")  # fmt: skip
codec_option = option("-c", "--codec", type=click.Choice(CODECS), help="Video codec; default: like the input's.")
crf_option = option("--crf", type=click.IntRange(0, 63),
                    help="Constant quality of the encoder, lower is better; default: like the input's.")  # fmt: skip
preset_option = option("--preset", help="Speed preset of the encoder, such as fast or slow.")
hardware_option = option("--hardware", is_flag=True,
                         help="Encode on the GPU if its encoder opens, else as usual.")  # fmt: skip
encoding_options = add_options(codec_option, crf_option, preset_option, hardware_option)
overwrite_option = option("-f", "--overwrite", is_flag=True, help="Replace outputs that exist.")
skip_existing_option = option("--skip-existing", is_flag=True, help="Leave outputs that exist, and go on.")
dry_run_option = option("-n", "--dry-run", is_flag=True, help="Show what would be done, and touch nothing.")
