"""mp4 to mov and back: tracks stay what they are to each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import pytest
from test_receipt import named
from video_clips import copy, draw

from selfhvd_cli.video.probe import probe

CHAPTERS = ((0, 200, "one"), (200, 500, "two"))


@pytest.mark.parametrize(("name", "other"), [("in.mp4", "out.mov"), ("in.mov", "out.mp4"), ("in.mp4", "out.mkv")])
def test_names_of_chapters_stay_such(clip: Callable[..., Path], name: str, other: str) -> None:
    source = clip(name, frames=15, sound=False, chapters=CHAPTERS)
    target = source.with_name(other)
    receipt = copy(source, target)
    assert [chapter.metadata["title"] for chapter in probe(target).chapters] == ["one", "two"]
    assert not [stream for stream in probe(target).streams if stream.kind == "subtitle"]
    assert set(named(receipt)) <= {"frame times"}


def test_a_time_code_stays_that_of_the_pictures(tmp_path: Path) -> None:
    source, target = tmp_path / "in.mov", tmp_path / "out.mp4"
    with av.open(str(source), "w") as output:
        video = output.add_stream("libx264", rate=30)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.metadata["timecode"] = "01:02:03:04"
        for index in range(15):
            output.mux(video.encode(av.VideoFrame.from_ndarray(draw(index, 64, 48))))
        output.mux(video.encode(None))
    assert named(copy(source, target)) == []
    assert probe(target).main_stream.metadata["timecode"] == "01:02:03:04"
