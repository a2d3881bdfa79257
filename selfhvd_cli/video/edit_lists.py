"""Edit lists of tracks that are carried over: on another clock, later, or of a stretch of the movie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from selfhvd_cli.video.boxes import EMPTY_EDIT, Edit

NORMAL_RATE = 0x10000


def rescaled(edits: Sequence[Edit], old: int, new: int, delay: Fraction = Fraction(0)) -> list[Edit]:
    """Edits of a movie whose timescale is `old` in the timescale `new`, behind a gap of `delay` seconds."""
    moved = [replace(edit, duration=round(Fraction(edit.duration * new, old))) for edit in edits]
    if delay <= 0:
        return moved
    return [Edit(round(delay * new), EMPTY_EDIT), *(moved or [Edit(0, 0)])]


def stretch(
    edits: Sequence[Edit], begin: Fraction, length: Fraction, old: int, new: int, media_clock: int
) -> list[Edit]:
    """Edits that show, from the beginning of an output, what a track shows in a stretch of its source.

    Args:
        edits: the track's in the source; none shows all of it from the movie's beginning on.
        begin, length: of the stretch, seconds of the source movie; before 0 nothing is shown.
        old, new: timescales of the source movie and of the output.
        media_clock: timescale of the track.
    """
    rows = list(edits) or [Edit(0, 0)]
    shown = [Edit(round(-begin * new), EMPTY_EDIT)] if begin < 0 else []
    end, at = begin + length, Fraction(0)
    for number, edit in enumerate(rows):
        endless = edit.duration == 0 and number == len(rows) - 1
        until = end if endless else min(end, at + Fraction(edit.duration, old))
        since = max(at, begin)
        if until > since:
            media_time = edit.media_time
            if media_time != EMPTY_EDIT:
                media_time += round((since - at) * media_clock * Fraction(edit.rate, NORMAL_RATE))
            ticks = round((until - begin) * new) - round((since - begin) * new)
            shown.append(Edit(ticks, media_time, edit.rate))
        at += Fraction(edit.duration, old)
    if any(edit.media_time != EMPTY_EDIT for edit in shown):
        return shown
    return [Edit(round(length * new), EMPTY_EDIT)]
