"""What two videos show: their frames in pairs, how sharp each is, and the ones worth a look."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate

from torch import Tensor

from selfhvd_cli.comparing.job import CompareJob, CompareProgress
from selfhvd_cli.deblurring.span import Span, expected_frames, span_of
from selfhvd_cli.ops.orientation import on_its_side, upright
from selfhvd_cli.ops.sharpness import sharpness
from selfhvd_cli.ops.square_pixels import with_square_pixels
from selfhvd_cli.quality.pairs import check_sizes, paired_frames
from selfhvd_cli.training.sharpness import SharpFrames, find_sharp_frames
from selfhvd_cli.video.info import VideoInfo
from selfhvd_cli.video.reader import Reader, open_reader

PAGE_SECONDS = 10
"""Of video that a page holds at most: it is one file, and people send it around."""


@dataclass(frozen=True)
class Pair:
    """Both videos, open; pictures come as players show them."""

    readers: tuple[Reader, Reader]
    span: Span
    total: int | None

    @property
    def info(self) -> VideoInfo:
        return self.readers[0].info

    @property
    def lying(self) -> Reader | None:
        """The video that has lost its orientation: what the other shows turned by a quarter, it shows as stored."""
        one, other = self.readers
        if on_its_side(one.info.display_matrix) == on_its_side(other.info.display_matrix):
            return None
        return other if on_its_side(one.info.display_matrix) else one

    @property
    def note(self) -> str:
        """What to say about the one that has lost it; empty where none has."""
        return f"{self.lying.info.path.name} has lost its orientation; it is shown as the other" if self.lying else ""

    def frames(self) -> Iterator[tuple[Fraction, Fraction, Tensor, Tensor]]:
        """Time on either video's clock, and both pictures `[3, H, W]` as stored."""
        for one, other in paired_frames(*self.readers):
            yield one.time, other.time, one.rgb(), other.rgb()

    def pictures(self) -> Iterator[tuple[Fraction, Fraction, Tensor, Tensor]]:
        """Time on either video's clock, and both pictures `[3, H, W]`, upright and with square pixels."""
        infos = [reader.info for reader in self.readers]
        aspect = infos[0].sample_aspect_ratio or infos[1].sample_aspect_ratio
        matrices = [info.display_matrix for info in infos]
        if self.lying is not None:
            matrices = [next(matrix for matrix in matrices if on_its_side(matrix))] * 2
        for one, other, *pair in self.frames():
            shown = [
                upright(with_square_pixels(each, aspect), matrix) for each, matrix in zip(pair, matrices, strict=True)
            ]
            yield one, other, shown[0], shown[1]


@contextmanager
def opened(job: CompareJob, spans: Sequence[Span] | None = None) -> Iterator[Pair]:
    """Both videos of a job.

    Args:
        spans: parts of them to read; None takes the job's.

    Raises:
        Unlike: their pictures are not of one size.
    """
    one_span, other_span = spans or [
        Span() if path in job.whole else span_of(path, job.start, job.duration) for path in (job.first, job.second)
    ]
    with (
        open_reader(job.first, one_span.start, one_span.duration) as one,
        open_reader(job.second, other_span.start, other_span.duration) as other,
    ):
        check_sizes(one.info, other.info)
        yield Pair((one, other), one_span, expected_frames(one.info, one_span))


@dataclass(frozen=True)
class Looked:
    """Sharpness of every frame of both."""

    times: tuple[float, ...]
    """Seconds after the first frame compared."""

    first: SharpFrames
    second: SharpFrames

    begins: tuple[Fraction, Fraction]
    """Where the comparison begins in each video, seconds after that video's first frame."""

    note: str = ""
    """What to say about how they are shown."""

    def caption(self, rank: str, index: int) -> str:
        before, after = self.first.scores[index], self.second.scores[index]
        return f"{rank}: frame {index}, {self.times[index]:.2f} s, sharpness {before:.0f} to {after:.0f}"


def look(job: CompareJob) -> Generator[CompareProgress, None, Looked]:
    """Score the sharpness of all frames of both."""
    times: list[Fraction] = []
    scores: tuple[list[float], list[float]] = ([], [])
    begins = (Fraction(0), Fraction(0))
    with opened(job) as pair:
        note = pair.note
        for one, other, *pictures in pair.frames():
            if not times:
                infos = [reader.info for reader in pair.readers]
                begins = (one - infos[0].start_time, other - infos[1].start_time)
            times.append(one)
            for listed, picture in zip(scores, pictures, strict=True):
                listed.append(float(sharpness(picture.unsqueeze(0))[0]))
            yield CompareProgress("look", len(times), pair.total)
    seconds = tuple(float(time - times[0]) for time in times)
    return Looked(seconds, find_sharp_frames(scores[0]), find_sharp_frames(scores[1]), begins, note)


def stills(job: CompareJob, shown: Mapping[str, int]) -> Iterator[tuple[str, tuple[Tensor, Tensor]]]:
    """The pictures of the frames shown, worst first; read once."""
    found = {}
    with opened(job) as pair:
        for index, (_, _, one, other) in enumerate(pair.pictures()):
            if index in shown.values():
                found[index] = (one.clone(), other.clone())
            if len(found) == len(shown):
                break
    for rank, index in shown.items():
        yield rank, found[index]


def stretch(looked: Looked) -> tuple[tuple[Span, Span] | None, list[str]]:
    """The stretch of both that the page's clip shows; None for all of a short one. And what to say about it."""
    found = most_blurred(looked.times, looked.first.scores, PAGE_SECONDS)
    if found is None:
        return None, []
    begin, end = (between(looked.times, index) for index in found)
    note = f"the video shows the most blurred {PAGE_SECONDS} s, from {looked.times[found[0]]:.1f} s on"
    one, other = (Span(start + begin, end - begin) for start in looked.begins)
    return (one, other), [note]


def most_blurred(times: Sequence[float], scores: Sequence[float], seconds: float) -> tuple[int, int] | None:
    """Numbers of the first frame of the stretch of that length with the lowest mean sharpness, and of the first
    frame after it; None where the whole is no longer.

    Args:
        times: of the frames, seconds after the first one.
        scores: their sharpness.
    """
    if times[-1] <= seconds:
        return None
    sums = [0.0, *accumulate(scores)]
    best, found, end = float("inf"), (0, 0), 0
    for index, time in enumerate(times):
        if time + seconds > times[-1]:
            break
        while times[end] < time + seconds:
            end += 1
        mean = (sums[end] - sums[index]) / (end - index)
        if mean < best:
            best, found = mean, (index, end)
    return found


def between(times: Sequence[float], index: int) -> Fraction:
    """A time between a frame and the one before it: clocks of two files round differently, and none shall cut apart
    what belongs together."""
    middle = 0.0 if index == 0 else (times[index - 1] + times[index]) / 2
    return Fraction(middle).limit_denominator(1_000_000)
