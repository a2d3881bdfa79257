"""Trimming: what of the clip goes with its pictures begins where they begin."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from video_clips import copy

from selfhvd_cli.video.probe import probe


def test_a_date_that_is_not_known_is_not_made_up(clip: Callable[..., Path]) -> None:
    source = clip("in.mp4", frames=60)
    assert "creation_time" not in probe(source).metadata
    target = source.with_name("out.mp4")
    copy(source, target, start=Fraction(1))
    after = probe(target)
    assert not [tags for tags in (after.metadata, *(s.metadata for s in after.streams)) if "creation_time" in tags]
