"""`selfhvd completion`: what a shell needs to complete commands, options and their values."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from selfhvd_cli.cli.options import Command

SHELLS = ("bash", "zsh", "fish")


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script that makes SHELL complete commands, options and their values.

    \b
    bash: add to ~/.bashrc   eval "$(selfhvd completion bash)"
    zsh:  add to ~/.zshrc    eval "$(selfhvd completion zsh)"
    fish: selfhvd completion fish > ~/.config/fish/completions/selfhvd.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    root = click.get_current_context().find_root().command
    click.echo(kind(root, {}, "selfhvd", "_SELFHVD_COMPLETE").source())
