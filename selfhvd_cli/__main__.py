"""`python -m selfhvd_cli` and the `selfhvd` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; an interruption while it is imported ends like any other."""
    try:
        from selfhvd_cli.cli import main as run
    except KeyboardInterrupt:
        sys.stderr.write("Error (130, interrupted): interrupted.\n")
        raise SystemExit(130) from None
    run()


if __name__ == "__main__":
    main()
