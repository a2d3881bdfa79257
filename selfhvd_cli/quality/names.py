"""File names as text that any font, page and table can take."""

from __future__ import annotations

import re
from pathlib import Path

UNREADABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
"""Control characters, and what Python puts in the place of bytes of a name that are no UTF-8."""


def readable(name: str | Path) -> str:
    """A name to show, with � for what is no letter; it may no longer be the name of a file."""
    return UNREADABLE.sub("�", str(name))
