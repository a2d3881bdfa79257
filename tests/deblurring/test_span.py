"""Spans: the frames that are meant by seconds, by numbers of frames, or by both."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from tiny_clips import make_clip

from selfhvd_cli.deblurring.span import span_of
from selfhvd_cli.errors import InputFault
from selfhvd_cli.moments import as_moment
from selfhvd_cli.video.reader import VideoReader, open_reader

LATE_AND_UNEVEN = (600, 617, 643, 660, 685, 701, 722, 745)
"""Ticks of 1/600 s; the first frame comes a second after the container's zero."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "in.mp4", LATE_AND_UNEVEN)


@pytest.mark.parametrize(
    ("start", "duration", "numbers"),
    [
        ("3f", "2f", [3, 4]),
        ("0f", "1f", [0]),
        (None, "3f", [0, 1, 2]),
        ("2f", None, [2, 3, 4, 5, 6, 7]),
        ("6f", "20f", [6, 7]),
        ("0.1", "3f", [3, 4, 5]),  # 660 ticks are exactly there
        ("0.11", "3f", [4, 5, 6]),
        ("0", "2f", [0, 1]),
        ("0.1", "100f", [3, 4, 5, 6, 7]),
        ("4f", "0.05", [4, 5]),
    ],
)
def test_a_span_holds_the_frames_that_are_meant(
    source: Path, start: str | None, duration: str | None, numbers: list[int]
) -> None:
    span = span_of(source, as_moment(start), as_moment(duration))
    with open_reader(source, span.start, span.duration) as reader:
        assert [frame.time * 600 for frame in reader] == [LATE_AND_UNEVEN[number] for number in numbers]


def test_a_start_behind_the_end_is_a_clear_fault(source: Path) -> None:
    with pytest.raises(InputFault, match=r"--start 8f lies behind the last frame; it has 8 frames"):
        span_of(source, as_moment("8f"), None)
    with pytest.raises(InputFault, match=r"no frame lies in --start 5"):
        span_of(source, as_moment("5"), as_moment("1f"))


@pytest.mark.parametrize(("start", "duration", "most"), [("20", "4f", 150), ("600f", "4f", 650)])
def test_a_span_late_in_a_long_clip_is_found_without_decoding_all_of_it_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: str, duration: str, most: int
) -> None:
    source = make_clip(tmp_path / "in.mp4", [20 * index for index in range(750)], width=32, height=32, sound=False)
    decoded = []
    take = VideoReader._as_large_as_the_first  # of each picture that comes out of the decoder

    def counted(self: VideoReader, picture: Any) -> Any:
        decoded.append(picture.pts)
        return take(self, picture)

    monkeypatch.setattr(VideoReader, "_as_large_as_the_first", counted)
    span = span_of(source, as_moment(start), as_moment(duration))
    assert (span.start, span.duration) == (20, Fraction(4, 30))
    assert len(decoded) <= most
