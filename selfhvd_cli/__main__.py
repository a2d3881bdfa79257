"""`python -m selfhvd_cli` and the `selfhvd` command."""

from __future__ import annotations

from selfhvd_cli.cli import main

if __name__ == "__main__":
    main()
