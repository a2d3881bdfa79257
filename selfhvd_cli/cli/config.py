"""The config file: the user's own defaults for options, read before every command."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from selfhvd_cli.errors import UsageFault

NEVER = frozenset({"help", "version", "print-config", "overwrite", "output", "list", "taste", "dry-run"})
"""Options that say what one run is to do; as a standing default they would surprise."""

ORIGINS = {
    ParameterSource.COMMANDLINE: "command line",
    ParameterSource.ENVIRONMENT: "environment",
    ParameterSource.DEFAULT_MAP: "config file",
}


def config_path() -> Path:
    """SELFHVD_CONFIG, else config.toml in the user's folder for such files; it need not exist."""
    import platformdirs

    chosen = os.environ.get("SELFHVD_CONFIG")
    return Path(chosen).expanduser() if chosen else platformdirs.user_config_path("selfhvd") / "config.toml"


def defaults_of(context: click.Context) -> dict[str, Any]:
    """What the config file says about the options of the context's command: its own table wins over the top level.

    Raises:
        UsageFault: the file cannot be read, or names an option that does not exist or cannot have that value.
    """
    path = config_path()
    table = _read(path)
    if not table:
        return {}
    root = context.find_root()
    assert isinstance(root.command, click.Group)
    _check(path, table, root.command, root)
    names = [each.info_name or "" for each in _chain(context)]
    found = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    inner: Any = table
    for name in names:
        inner = inner.get(name, {})
        found |= {key: value for key, value in inner.items() if not isinstance(value, Mapping)}
    options = _options(context.command)
    return {
        str(options[key].name): _typed(path, key, value, options[key], context)
        for key, value in found.items()
        if key in options
    }


def settings_in_words(context: click.Context, arguments: list[str]) -> str:
    """Every option of a command as TOML, each with where its value comes from (`--print-config`)."""
    given, _, _ = context.command.make_parser(context).parse_args(list(arguments))
    path = config_path()
    note = "" if path.exists() else " (there is none yet)"
    lines = [f"# config file: {path}{note}", f"[{'.'.join(each.info_name or '' for each in _chain(context))}]"]
    for key, one in _options(context.command).items():
        value, source = one.consume_value(context, given)
        origin = ORIGINS.get(source, "default")
        if value is None or not isinstance(value, (str, int, float, tuple, list)) or value == ():
            lines.append(f"# {key} is not set")
        else:
            lines.append(f"{key} = {_as_toml(value, one)}  # {origin}")
    return "\n".join(lines)


def is_typed(context: click.Context, name: str) -> bool:
    """Whether an option was given on the command line itself; a standing default may stand where it has no use.

    Args:
        name: of the option's value, with underscores.
    """
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def nearer(context: click.Context, one: str, other: str) -> bool:
    """Whether of two options that exclude each other the second was said nearer to the run, and wins.

    Raises:
        UsageFault: both were typed.
    """
    if is_typed(context, one) and is_typed(context, other):
        first, second = (f"--{name.replace('_', '-')}" for name in sorted((one, other)))
        raise UsageFault(f"{first} and {second} contradict each other; give one of them.")
    ranks = list(ORIGINS)
    sources = (context.get_parameter_source(name) for name in (one, other))
    first_rank, second_rank = (ranks.index(source) if source in ranks else len(ranks) for source in sources)
    return second_rank < first_rank


def _read(path: Path) -> Mapping[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if os.environ.get("SELFHVD_CONFIG"):
            raise UsageFault(f"{path}: no such config file; SELFHVD_CONFIG names it.") from None
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise UsageFault(f"{path}: the config file cannot be read ({fault}); mend or remove it.") from fault


def _check(path: Path, table: Mapping[str, Any], command: click.Command, context: click.Context) -> None:
    """Refuse keys that mean nothing: a dial that turns nothing is worse than none."""
    tables, known = _parts(command, context)
    for key, value in table.items():
        if isinstance(value, Mapping):
            if key not in tables:
                raise _unknown(path, f"[{key}]", key, tables)
            _check(path, value, tables[key], context)
        elif key not in known:
            raise _unknown(path, key, key, known)


def _parts(command: click.Command, context: click.Context) -> tuple[dict[str, click.Command], set[str]]:
    """Commands inside a command, and the options that it and they have."""
    inner: dict[str, click.Command] = {}
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            one = command.get_command(context, name)
            assert one is not None
            inner[name] = one
    known = set(_options(command))
    for one in inner.values():
        known |= _parts(one, context)[1]
    return inner, known


def _unknown(path: Path, shown: str, key: str, known: Any) -> UsageFault:
    near = get_close_matches(key, list(known), n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}."
    return UsageFault(f"{path}: {shown} is nothing that can be set; {hint}")


def _options(command: click.Command) -> dict[str, click.Option]:
    """The command's options by their long name without dashes."""
    found = {}
    for one in command.params:
        if isinstance(one, click.Option):
            long = next((name for name in one.opts if name.startswith("--")), "").removeprefix("--")
            if long and long not in NEVER:
                found[long] = one
    return found


def _typed(path: Path, key: str, value: Any, one: click.Option, context: click.Context) -> Any:
    """A value as the command line would have it, tried once so that a fault can name the file."""
    shown = f"{key} = {json.dumps(value, default=str)}"
    several = one.multiple or one.nargs != 1
    fitting = bool if one.is_flag else (str, int, float, list) if several else (str, int, float)
    if one.is_flag != isinstance(value, bool) or not isinstance(value, fitting):
        kind = "true or false" if one.is_flag else "text or a number"
        raise UsageFault(f"{path}: {shown}: write {kind}{', or a list of them' if several else ''}.")
    text: Any = value if isinstance(value, bool) else str(value)
    if several:
        text = [str(each) for each in value] if isinstance(value, list) else [text]
    try:
        one.type_cast_value(context, text)
    except click.BadParameter as fault:
        raise UsageFault(f"{path}: {shown}: {fault.message}") from fault
    return text


def _chain(context: click.Context) -> Iterator[click.Context]:
    """From below the root down to the context."""
    if context.parent is not None:
        yield from _chain(context.parent)
        yield context


def _as_toml(value: Any, one: click.Option) -> str:
    if one.is_flag:
        return "true" if str(value).lower() in ("true", "1", "yes", "on", "t", "y") else "false"
    if isinstance(value, (tuple, list)):
        return json.dumps([str(each) for each in value], ensure_ascii=False)
    return str(value) if isinstance(value, (int, float)) else json.dumps(str(value), ensure_ascii=False)
