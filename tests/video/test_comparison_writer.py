"""Videos for looking at appear whole or not at all, and one run at a time writes one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from video_clips import codes_of

from selfhvd_cli.errors import DiskFault, UsageFault
from selfhvd_cli.video.comparison import ComparisonWriter
from selfhvd_cli.video.probe import probe


def fill(writer: ComparisonWriter, frames: int, size: int = 64) -> None:
    noise = np.random.default_rng(0)
    for index in range(frames):
        writer.write(noise.integers(0, 255, (size, size, 3), dtype=np.uint8), Fraction(index, 30))


def test_a_second_run_is_refused_and_the_first_ends_well(clip: Callable[..., Path]) -> None:
    source = clip("in.mp4", frames=30)
    target, info = source.with_name("both.mp4"), probe(source)
    with ComparisonWriter(target, info) as writer:
        fill(writer, 10)
        with pytest.raises(UsageFault, match="another selfhvd is writing it"), ComparisonWriter(target, info):
            pass
        fill(writer, 20)
    assert len(codes_of(target)) == 30
    assert sorted(path.name for path in source.parent.iterdir()) == ["both.mp4", "in.mp4"]


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file can become larger than a megabyte."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_disk")
@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_disk_that_takes_no_more_is_one_message_and_leaves_nothing(clip: Callable[..., Path], ending: str) -> None:
    source = clip("in.mp4", frames=30)
    target = source.with_name(f"both.{ending}")
    with pytest.raises(DiskFault, match="this large"), ComparisonWriter(target, probe(source)) as writer:
        fill(writer, 40, size=256)
    assert [path.name for path in source.parent.iterdir()] == ["in.mp4"]


@pytest.mark.parametrize("place", [7, 42])
def test_sound_that_comes_twice_costs_no_picture(clip: Callable[..., Path], place: int) -> None:
    """As in recordings from the air, whose times then run backwards."""
    source = clip("in.ts", frames=12, time_base=Fraction(1, 90000))
    data, length = source.read_bytes(), 188
    source.write_bytes(data[: (place + 12) * length] + data[place * length :])
    target = source.with_name("both.mp4")
    with ComparisonWriter(target, probe(source)) as writer:
        fill(writer, 12)
    assert len(codes_of(target)) == 12
    assert [stream.kind for stream in probe(target).streams] == ["video", "audio"]
