"""What two videos show: their frames in pairs, how sharp each is, and the ones worth a look."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate

from torch import Tensor

from selfhvd_cli.comparing.job import CompareJob, CompareProgress
from selfhvd_cli.deblurring.span import Span, expected_frames, span_of
from selfhvd_cli.moments import Moment
from selfhvd_cli.ops.orientation import upright
from selfhvd_cli.ops.sharpness import sharpness
from selfhvd_cli.quality.pairs import check_sizes, paired_frames
from selfhvd_cli.training.sharpness import SharpFrames, find_sharp_frames
from selfhvd_cli.video.info import VideoInfo
from selfhvd_cli.video.reader import Reader, open_reader

PAGE_SECONDS = 10
"""Of video that a page holds at most: it is one file, and people send it around."""


@dataclass(frozen=True)
class Pair:
    """Both videos, open; pictures come upright."""

    readers: tuple[Reader, Reader]
    span: Span
    total: int | None

    @property
    def info(self) -> VideoInfo:
        return self.readers[0].info

    def pictures(self) -> Iterator[tuple[Fraction, Tensor, Tensor]]:
        """Time on the first video's clock, and both pictures `[3, H, W]`."""
        matrices = [reader.info.display_matrix for reader in self.readers]
        for one, other in paired_frames(*self.readers):
            yield one.time, upright(one.rgb(), matrices[0]), upright(other.rgb(), matrices[1])


@contextmanager
def opened(job: CompareJob) -> Iterator[Pair]:
    """Both videos of a job.

    Raises:
        Unlike: their pictures are not of one size.
    """
    spans = [span_of(path, job.start, job.duration) for path in (job.first, job.second)]
    with (
        open_reader(job.first, spans[0].start, spans[0].duration) as one,
        open_reader(job.second, spans[1].start, spans[1].duration) as other,
    ):
        check_sizes(one.info, other.info)
        yield Pair((one, other), spans[0], expected_frames(one.info, spans[0]))


@dataclass(frozen=True)
class Looked:
    """Sharpness of every frame of both."""

    times: tuple[float, ...]
    """Seconds after the first frame compared."""

    first: SharpFrames
    second: SharpFrames
    span: Span

    def caption(self, rank: str, index: int) -> str:
        before, after = self.first.scores[index], self.second.scores[index]
        return f"{rank}: frame {index}, {self.times[index]:.2f} s, sharpness {before:.0f} to {after:.0f}"


def look(job: CompareJob) -> Generator[CompareProgress, None, Looked]:
    """Score the sharpness of all frames of both."""
    times: list[Fraction] = []
    scores: tuple[list[float], list[float]] = ([], [])
    with opened(job) as pair:
        for time, *pictures in pair.pictures():
            times.append(time)
            for listed, picture in zip(scores, pictures, strict=True):
                listed.append(float(sharpness(picture.unsqueeze(0))[0]))
            yield CompareProgress("look", len(times), pair.total)
        span = pair.span
    seconds = tuple(float(time - times[0]) for time in times)
    return Looked(seconds, find_sharp_frames(scores[0]), find_sharp_frames(scores[1]), span)


def stills(job: CompareJob, shown: Mapping[str, int]) -> Iterator[tuple[str, tuple[Tensor, Tensor]]]:
    """The pictures of the frames shown, worst first; read once."""
    found = {}
    with opened(job) as pair:
        for index, (_, one, other) in enumerate(pair.pictures()):
            if index in shown.values():
                found[index] = (one.clone(), other.clone())
            if len(found) == len(shown):
                break
    for rank, index in shown.items():
        yield rank, found[index]


def stretch(looked: Looked) -> tuple[Fraction | None, Fraction | None, list[str]]:
    """Where the page's clip begins and how long it is, seconds; both None for all of a short one."""
    times, scores = looked.times, looked.first.scores
    if times[-1] <= PAGE_SECONDS:
        return None, None, []
    sums = [0.0, *accumulate(scores)]
    best, start, end = float("inf"), 0, 0
    for index, time in enumerate(times):
        if time + PAGE_SECONDS > times[-1]:
            break
        while times[end] < time + PAGE_SECONDS:
            end += 1
        mean = (sums[end] - sums[index]) / (end - index)
        if mean < best:
            best, start = mean, index
    begin = Fraction(times[start]).limit_denominator(1_000_000)
    note = f"the video shows the most blurred {PAGE_SECONDS} s, from {times[start]:.1f} s on"
    return begin, Fraction(PAGE_SECONDS), [note]


def with_span(
    job: CompareJob, outer: Fraction | None, begin: Fraction | None, length: Fraction | None
) -> CompareJob:
    """The job on a part of its own span, `begin` seconds into it; as it is without one."""
    if begin is None or length is None:
        return job
    return replace(job, start=Moment((outer or Fraction(0)) + begin), duration=Moment(length))
