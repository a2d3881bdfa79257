"""Kinds of option values: a moment, a size in memory, an age, a number or `auto`."""

from __future__ import annotations

import re
from typing import Any

import click

from selfhvd_cli.errors import UsageFault
from selfhvd_cli.moments import Moment, parse_moment

_UNITS = {"": 2**30, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


class MomentType(click.ParamType):
    """`5s`, `5`, `120f`, `1:02.5` → `Moment`."""

    name = "time"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Moment:
        if isinstance(value, Moment):
            return value
        try:
            return parse_moment(value)
        except UsageFault as fault:
            self.fail(fault.message, parameter, context)


class MemoryType(click.ParamType):
    """`6G`, `500M`, `1.5GiB` → bytes; a bare number is GiB."""

    name = "size"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", value.strip().lower())
        if match is None or float(match[1]) == 0:
            self.fail(f'"{value}" is no size; write 6G or 500M.', parameter, context)
        return int(float(match[1]) * _UNITS[match[2]])


class AgeType(click.ParamType):
    """`30d`, `12h`, `45m` → seconds; a bare number is days."""

    name = "age"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([mhd]?)", value.strip().lower())
        if match is None:
            self.fail(f'"{value}" is no age; write 30d, 12h or 45m.', parameter, context)
        return float(match[1]) * {"": 86400, "m": 60, "h": 3600, "d": 86400}[match[2]]


class AutoNumber(click.ParamType):
    """`auto` → None, else a whole number of at least `minimum`."""

    def __init__(self, minimum: int) -> None:
        self.minimum = minimum
        self.name = "auto|n"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> int | None:
        if isinstance(value, int):
            return value
        if value.strip().lower() == "auto":
            return None
        if not value.strip().isdecimal() or int(value) < self.minimum:
            self.fail(f'"{value}" is neither auto nor a number of at least {self.minimum}.', parameter, context)
        return int(value)


def width_height(text: str) -> tuple[int, int]:
    """`1280x720` → (1280, 720)."""
    width, cross, height = text.lower().partition("x")
    if not (cross and width.isdigit() and height.isdigit()):
        raise click.BadParameter(f"{text}: write it as WIDTHxHEIGHT, such as 1280x720.", param_hint="--size")
    return int(width), int(height)
