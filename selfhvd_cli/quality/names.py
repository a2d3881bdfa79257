"""File names as text that any font, page, table and shell can take."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

UNREADABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
"""Control characters, and what Python puts in the place of bytes of a name that are no UTF-8."""


def readable(name: str | Path) -> str:
    """A name to show, with � for what is no letter; it may no longer be the name of a file."""
    return UNREADABLE.sub("�", str(name))


def short_names(paths: Sequence[Path]) -> list[str]:
    """The paths' last parts to show, as many as tell them apart."""
    for depth in range(1, 8):
        names = [readable("/".join(path.parts[-depth:])) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [readable(path) for path in paths]


def quoted(path: str | Path) -> str:
    """A path as it is typed in a command: `-h.mp4` by itself would be taken for options."""
    words = str(path)
    return shlex.quote(f"./{words}" if words.startswith("-") else words)
