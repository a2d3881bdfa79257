"""`python -m selfhvd_cli` and the `selfhvd` command."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line; an interruption while it is imported ends like any other."""
    take_closed_places()
    try:
        from selfhvd_cli.cli import main as run
    except KeyboardInterrupt:
        sys.stderr.write("Error (130, interrupted): interrupted.\n")
        raise SystemExit(130) from None
    run()


def take_closed_places() -> None:
    """Open nothing where stdin, stdout or stderr are closed (`2>&-`): a file of ours would get that number, and what
    codecs write to stderr would go into it.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number


if __name__ == "__main__":
    main()
