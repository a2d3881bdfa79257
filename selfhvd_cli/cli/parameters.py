"""Kinds of values: a moment, a size in memory, an age, a number or `auto`; paths and words that are not empty."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import Any

import click

from selfhvd_cli.errors import InputFault, UsageFault
from selfhvd_cli.moments import Moment, parse_moment

_UNITS = {"": 2**30, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}

LARGEST = 2**63 - 1
"""Whole number that every library takes, random seeds too."""

WIDEST = 16384
"""Pixels of a side: what the largest clips have that are read."""


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
        amount = float(match[1]) * _UNITS[match[2]] if match is not None else 0
        if not 0 < amount <= LARGEST:
            self.fail(f'"{value}" is no size; write 6G or 500M.', parameter, context)
        return int(amount)


class AgeType(click.ParamType):
    """`30d`, `12h`, `45m` → seconds; a bare number is days."""

    name = "age"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([mhd]?)", value.strip().lower())
        if match is None or not math.isfinite(float(match[1])):
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
        if not re.fullmatch(r"\d{1,9}", value.strip()) or int(value) < self.minimum:
            self.fail(f'"{value}" is neither auto nor a number of at least {self.minimum}.', parameter, context)
        return int(value)


class FiniteRange(click.FloatRange):
    """A `click.FloatRange` without infinity and what is no number, which lie in every range."""

    def __init__(self, like: click.FloatRange) -> None:
        super().__init__(like.min, like.max, like.min_open, like.max_open, like.clamp)

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        number = super().convert(value, parameter, context)
        if not math.isfinite(number):
            self.fail(f"{value} is no finite number.", parameter, context)
        return number


class WholeRange(click.IntRange):
    """A `click.IntRange` up to `LARGEST` at most."""

    def __init__(self, like: click.IntRange) -> None:
        super().__init__(like.min, like.max, like.min_open, like.max_open, like.clamp)

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        number = super().convert(value, parameter, context)
        if number > LARGEST:
            self.fail(f"{value} is too large; give {LARGEST} at most.", parameter, context)
        return number


class Word(click.types.StringParamType):
    """A text that is not empty."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        _refuse_empty(self, value, parameter, context)
        return super().convert(value, parameter, context)


class PathName(click.Path):
    """A path as a `click.Path` describes it that is not empty; an empty one would be the current folder."""

    def __init__(self, like: click.Path) -> None:
        super().__init__(
            like.exists, like.file_okay, like.dir_okay, like.writable, like.readable, like.resolve_path,
            like.allow_dash, like.type, like.executable,
        )  # fmt: skip

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        _refuse_empty(self, value, parameter, context)
        return super().convert(value, parameter, context)


class InputPath(PathName):
    """The path of an input. One that may not be read is no mistake in the command line, as a `click.Path` has it.

    Of several files it is left to whoever reads it: the others may go on.
    """

    def __init__(self, like: click.Path, several: bool) -> None:
        super().__init__(like)
        self.readable = False
        self._several = several

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        path = super().convert(value, parameter, context)
        folder = os.path.isdir(path)
        if folder or not self._several:
            wanted = os.R_OK | os.X_OK if folder else os.R_OK
            if os.path.exists(path) and not os.access(path, wanted):
                raise InputFault(
                    f"{Path(path)}: no permission to read it; copy it to where you may, or have its owner allow it."
                )
        return path


def stricter(parameter: click.Parameter) -> click.ParamType:
    """The type of a parameter, less what slips through click's own and can only be a mistake."""
    kind = parameter.type
    if isinstance(kind, click.Path) and not isinstance(kind, PathName):
        return InputPath(kind, parameter.nargs != 1) if isinstance(parameter, click.Argument) else PathName(kind)
    if isinstance(kind, click.FloatRange):
        return FiniteRange(kind)
    if isinstance(kind, click.IntRange):
        return WholeRange(kind)
    return Word() if kind is click.STRING else kind


def _refuse_empty(
    kind: click.ParamType, value: Any, parameter: click.Parameter | None, context: click.Context | None
) -> None:
    if value == "":
        kind.fail("it is empty, as where a variable of the shell is not set; say what you mean.", parameter, context)


def width_height(text: str) -> tuple[int, int]:
    """`1280x720` or `1280×720` → (1280, 720).

    Raises:
        BadParameter: the text is no size, or no picture has it.
    """
    match = re.fullmatch(r"(\d{1,5})[x×](\d{1,5})", text.strip().lower())
    sides = (int(match[1]), int(match[2])) if match is not None else (0, 0)
    if not all(1 <= side <= WIDEST for side in sides):
        about = f"write it as WIDTHxHEIGHT, such as 1280x720, each from 1 to {WIDEST}."
        raise click.BadParameter(f"{text}: {about}", param_hint="--size")
    return sides
