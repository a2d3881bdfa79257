"""Overlapping windows in time: the frames of a scene restored in order, in memory that does not grow with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import torch
from torch import Tensor

from selfhvd_cli.ops.batches import some_by_some
from selfhvd_cli.restore.crew import Crew, Told
from selfhvd_cli.restore.engine import Engine, Job
from selfhvd_cli.restore.held import Held
from selfhvd_cli.restore.outcome import Outcome
from selfhvd_cli.restore.plan import Plan

Result = TypeVar("Result")


@dataclass(frozen=True)
class Frame:
    """One frame that waits for its window."""

    held: Held
    """Its picture."""

    time: Fraction
    """Presentation time in seconds."""


@dataclass(frozen=True)
class Window:
    """Consecutive frames of a scene that the network sees together."""

    start: int
    """Place of the first frame in the scene."""

    frames: list[Frame]
    """The frames."""

    is_last: bool
    """Whether the scene ends with it."""


Part = tuple[Window, slice]
"""A window, and which of its frames are wanted of it."""

Batch = Sequence[tuple[Frame, Tensor | None]]
"""Consecutive frames, each with the network's picture `[3, H, W]`; None where nobody needs it."""


def restore_scene(
    engine: Engine, scene: Iterator[Frame], plan: Plan, crew: Crew | None = None, done: int = 0
) -> Iterator[Batch]:
    """The frames of one scene with the network's pictures, in order, at most as many at a time as the plan says.

    Args:
        crew: processes that restore in place of this one.
        done: frames at the beginning whose pictures nobody needs.
    """
    if engine.restorer.convention.remembers_frames and crew is None:
        yield from _each_among_others(engine, scene, plan, done)
        return
    for batch in _window_by_window(engine, scene, plan, crew, done):
        yield from some_by_some(batch, plan.together)


def judge_scene(
    engine: Engine, scene: Iterator[Frame], plan: Plan, crew: Crew, done: int = 0
) -> Iterator[tuple[Frame, Outcome | None]]:
    """The frames of one scene, restored by a crew with a network that remembers frames, and judged there.

    Args:
        done: frames at the beginning that nobody needs; they may be None.
    """

    def run(parts: Iterator[Part]) -> Iterator[tuple[Part, Sequence[Outcome]]]:
        return _heard(engine, crew.judge(_work(parts)))

    for (window, keep), outcomes in _computed(_wanted(scene, plan, selects=True), done, run):
        yield from zip(window.frames[keep], outcomes, strict=True)


def _each_among_others(engine: Engine, scene: Iterator[Frame], plan: Plan, done: int) -> Iterator[Batch]:
    """With a network that remembers frames: as many together as the plan says, and always the same ones."""
    # A device may round otherwise in other company; so a run that goes on restores those that it finds done, too.
    done -= done % plan.together
    waiting: list[Frame] = []
    jobs: list[Job] = []

    def restored() -> Batch:
        pictures = engine.restore_each(jobs) if jobs else [None] * len(waiting)
        batch = list(zip(waiting, pictures, strict=True))
        waiting.clear()
        jobs.clear()
        return batch

    for window, keep in _wanted(scene, plan, selects=True):
        held = [frame.held for frame in window.frames]
        for target in range(keep.start, keep.stop):
            waiting.append(window.frames[target])
            if window.start + target >= done:
                jobs.append((held, target))
            if (window.start + target + 1) % plan.together == 0:
                yield restored()
    if waiting:
        yield restored()


def _window_by_window(
    engine: Engine, scene: Iterator[Frame], plan: Plan, crew: Crew | None, done: int
) -> Iterator[Batch]:
    """With other networks; where windows of one that restores all its frames overlap, the results are cross-faded."""
    selects = engine.restorer.convention.selects_frames
    fading: Batch = []

    def run(parts: Iterator[Part]) -> Iterator[tuple[Part, Sequence[Tensor]]]:
        restored: Iterator[tuple[Part, Tensor]]
        if crew is None:
            restored = ((part, engine.restore(held, keep)) for part, held, keep in _work(parts))
        else:
            restored = _heard(engine, crew.restore(_work(parts)))
        return ((part, pictures.unbind()) for part, pictures in restored)

    for (window, keep), outputs in _computed(_wanted(scene, plan, selects), done, run):
        ready: list[tuple[Frame, Tensor | None]] = list(zip(window.frames[keep], outputs, strict=True))
        for index, (frame, earlier) in enumerate(fading):
            later = ready[index][1]
            # Where nobody needed the window before, nobody needs the frames that it shares with this one.
            if earlier is None or later is None:
                ready[index] = (frame, None)
            else:
                ready[index] = (frame, torch.lerp(earlier, later, (index + 1) / (len(fading) + 1)))
        settled = len(ready) if window.is_last or selects else len(ready) - plan.overlap
        fading = ready[settled:]
        yield ready[:settled]


def _wanted(scene: Iterator[Frame], plan: Plan, selects: bool) -> Iterator[Part]:
    """The windows of a scene, each with those of its frames that it is to restore."""
    given = 0
    for window in windows(scene, plan.window, plan.overlap):
        end = window.start + len(window.frames)
        # A network that selects frames leaves the second half of an overlap to the next window.
        wanted_end = end - plan.overlap // 2 if selects and not window.is_last else end
        yield window, slice(given - window.start, wanted_end - window.start)
        given = wanted_end if selects or window.is_last else wanted_end - plan.overlap


def _computed(
    wanted: Iterator[Part], done: int, run: Callable[[Iterator[Part]], Iterator[tuple[Part, Sequence[Result]]]]
) -> Iterator[tuple[Part, Sequence[Result | None]]]:
    """What `run` makes of each window's frames; None in windows that nobody needs."""
    first: list[Part] = []
    for window, keep in wanted:
        if window.start + keep.stop > done:
            first.append((window, keep))
            break
        yield (window, keep), [None] * len(window.frames[keep])

    def rest() -> Iterator[Part]:
        # Taken out of the list (chain would hold on to it): a window is a lot of memory.
        while first:
            yield first.pop()
        yield from wanted

    yield from run(rest())


def _work(parts: Iterator[Part]) -> Iterator[tuple[Part, list[Held], slice]]:
    """Windows as a crew takes them."""
    return ((part, [frame.held for frame in part[0].frames], part[1]) for part in parts)


def _heard(engine: Engine, told: Iterator[tuple[Part, Told[Result]]]) -> Iterator[tuple[Part, Result]]:
    """What a crew gives, with what happened on the way passed on to the engine."""
    for part, (result, events) in told:
        engine.hear(events)
        yield part, result


def windows(scene: Iterator[Frame], length: int, overlap: int) -> Iterator[Window]:
    """Cut a scene into windows of `length` that share `overlap` frames; the last one ends with the scene.

    The last window reaches back to be as long as the others, so it may share more.
    """
    stride = length - overlap
    held: list[Frame] = []
    first = 0  # place of held[0] in the scene
    start = 0  # where the next window begins
    for frame in scene:
        # One frame beyond the window tells that it is not the last.
        if first + len(held) == start + length:
            yield Window(start, held[start - first : start - first + length], is_last=False)
            held = held[start - first + 1 :]  # the last window begins one frame later at the earliest
            first = start + 1
            start += stride
        held.append(frame)
    if held:
        last = held[-length:]
        yield Window(first + len(held) - len(last), last, is_last=True)
