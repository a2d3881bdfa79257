"""Tags of the output: those of the source, minus what only describes its container, moved along when trimmed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from fractions import Fraction

BRANDS = ("major_brand", "minor_version", "compatible_brands")
"""Describe an mp4 or mov file, not what it shows; every muxer of such files writes its own."""

DATE_TAGS = ("creation_time", "com.apple.quicktime.creationdate", "date", "datetimeoriginal")
"""Tags that hold the moment the first frame was taken."""

ALPHA_TAG = "alpha_mode"
"""Of a stream: its packets hold transparency beside the pictures."""

MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)([T ])(\d\d:\d\d:\d\d)")


def tags_for(tags: Mapping[str, str], shift: Fraction | None = None) -> dict[str, str]:
    """`tags` with dates moved by `shift`, the seconds trimmed from the beginning."""
    kept = dict(tags)
    if shift:
        dates = {name: value for name, value in kept.items() if name.lower() in DATE_TAGS}
        kept |= {name: moved_creation(value, shift) for name, value in dates.items()}
    return kept


def without_container_tags(tags: Mapping[str, str], mp4: bool) -> dict[str, str]:
    """Tags of a file without those its muxer writes anew: its own name, and the brands where `mp4` is involved."""
    dropped = ("encoder", *BRANDS) if mp4 else ("encoder",)
    return {name: value for name, value in tags.items() if name.lower() not in dropped}


def moved_creation(value: str, shift: Fraction) -> str:
    """A moment in ISO 8601 moved by whole seconds, in the form it had; text that is no such moment stays as it is."""
    found = MOMENT.search(value)
    if found is None:
        return value
    try:
        moment = datetime.fromisoformat(f"{found[1]}T{found[3]}") + timedelta(seconds=round(shift))
    except (ValueError, OverflowError):  # cameras whose clock was never set write zeros
        return value
    text = moment.isoformat(sep="T" if found[2] == "T" else " ", timespec="seconds")
    return value[: found.start()] + text + value[found.end() :]


def changed_dates(tags: Mapping[str, str], shift: Fraction) -> tuple[tuple[str, str], ...]:
    """(old, new) texts of the dates that `shift` moves, for tags kept as bytes."""
    moved = tags_for(tags, shift)
    pairs = {(tags[name], moved[name]) for name in moved if name.lower() in DATE_TAGS and moved[name] != tags[name]}
    return tuple(pair for pair in sorted(pairs) if len(pair[0]) == len(pair[1]))
