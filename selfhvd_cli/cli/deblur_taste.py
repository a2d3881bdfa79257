"""`deblur --taste`: the most blurred seconds first, and the command for the rest."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from contextlib import closing

from selfhvd_cli.cli.console import Console
from selfhvd_cli.cli.progress import Pace, length, progress_display
from selfhvd_cli.counting import counted
from selfhvd_cli.deblurring.job import DeblurJob
from selfhvd_cli.taste_clip import Taste, taste_steps


def run_taste(console: Console, job: DeblurJob, words: Sequence[str]) -> None:
    """Taste a job, and say how to go on.

    Args:
        words: of the command line after `selfhvd deblur`.
    """
    made = None
    pace = Pace()
    with progress_display(console, job.source.name) as display, closing(taste_steps(job)) as steps:
        for step in steps:
            for message in step.messages:
                console.say(message)
            made = step.taste
            if made is None:
                display.show(pace.state(step.phase, step.done, step.total, step.unit))
    assert made is not None
    command = rest_command(words)
    _say(console, made, command)
    if console.json:
        console.data({"taste": made, "command": command})


def rest_command(words: Sequence[str]) -> str:
    """The command that does what `words` would do without `--taste`.

    Without `--overwrite`, too: that was said of the taste, and would here replace a finished result.
    """
    end = words.index("--") if "--" in words else len(words)
    kept = [_without_overwrite(word) for word in words[:end] if word != "--taste"]
    return shlex.join(["selfhvd", "deblur", *(word for word in kept if word), *words[end:]])


def _without_overwrite(word: str) -> str:
    """A word of the command line less its part in overwriting; empty where that was all it said."""
    if word in ("--overwrite", "-y"):
        return ""
    if not re.fullmatch(r"-[fnqv]*f[fnqv]*", word):  # flags written as one, such as -fq
        return word
    left = word.replace("f", "")
    return "" if left == "-" else left


def _say(console: Console, made: Taste, command: str) -> None:
    report = made.report
    begin = float(made.start)
    console.say(
        f"{made.target}: the most blurred {made.seconds:.1f} s, from {begin:.1f} s on, before and after, "
        f"{counted(report.frames, 'frame')} in {length(report.seconds)}",
        "bold",
    )
    before, after = report.sharpness_before, report.sharpness_after
    if before is not None and after is not None:
        console.say(f"sharpness {before.mean:.0f} → {after.mean:.0f} on average")
    if made.whole_frames is not None and made.whole_seconds is not None:
        console.say(f"all of it ({made.whole_frames} frames) will take about {length(made.whole_seconds)}:")
    console.say(f"  {command}")
