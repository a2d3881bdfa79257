"""Overlapping windows in time: the frames of a scene restored in order, in memory that does not grow with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from selfhvd_cli.ops.batches import some_by_some
from selfhvd_cli.restore.crew import Crew
from selfhvd_cli.restore.engine import Engine, Job
from selfhvd_cli.restore.held import Held
from selfhvd_cli.restore.plan import Plan


@dataclass(frozen=True)
class Frame:
    """One frame that waits for its window."""

    held: Held
    """Its picture."""

    time: Fraction
    """Presentation time in seconds."""


Batch = Sequence[tuple[Frame, Tensor | None]]
"""Consecutive frames, each with the network's picture `[3, H, W]`; None where nobody needs it."""


def restore_scene(
    engine: Engine, scene: Iterator[Frame], plan: Plan, crew: Crew | None = None, done: int = 0
) -> Iterator[Batch]:
    """The frames of one scene with the network's pictures, in order, at most as many at a time as the plan says.

    Args:
        done: frames at the beginning whose pictures nobody needs.
    """
    if engine.restorer.convention.remembers_frames and crew is None:
        yield from _each_among_others(engine, scene, plan, done)
        return
    for batch in _window_by_window(engine, scene, plan, crew, done):
        yield from some_by_some(batch, plan.together)


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
    """With other networks, or by a crew; where windows of a network that restores all its frames overlap, the results
    are cross-faded."""
    selects = engine.restorer.convention.selects_frames
    fading: Batch = []
    for (window, keep), outputs in _computed(engine, _wanted(scene, plan, selects), crew, done):
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


def _wanted(scene: Iterator[Frame], plan: Plan, selects: bool) -> Iterator[tuple[Window, slice]]:
    """The windows of a scene, each with those of its frames that it is to restore."""
    given = 0
    for window in windows(scene, plan.window, plan.overlap):
        end = window.start + len(window.frames)
        # A network that selects frames leaves the second half of an overlap to the next window.
        wanted_end = end - plan.overlap // 2 if selects and not window.is_last else end
        yield window, slice(given - window.start, wanted_end - window.start)
        given = wanted_end if selects or window.is_last else wanted_end - plan.overlap


def _computed(
    engine: Engine, wanted: Iterator[tuple[Window, slice]], crew: Crew | None, done: int
) -> Iterator[tuple[tuple[Window, slice], Sequence[Tensor | None] | Tensor]]:
    """The network's pictures of each window, here or by a crew; None in windows that nobody needs."""
    first: list[tuple[Window, slice]] = []
    for window, keep in wanted:
        if window.start + keep.stop > done:
            first.append((window, keep))
            break
        yield (window, keep), [None] * len(window.frames[keep])

    def rest() -> Iterator[tuple[Window, slice]]:
        # Taken out of the list (chain would hold on to it): a window is a lot of memory.
        while first:
            yield first.pop()
        yield from wanted

    work = ((each, [frame.held for frame in each[0].frames], each[1]) for each in rest())
    if crew is None:
        for place, held, keep in work:
            yield place, engine.restore(held, keep)
        return
    for place, (outputs, events) in crew.restore(work):
        engine.hear(events)
        yield place, outputs


@dataclass(frozen=True)
class Window:
    """Consecutive frames of a scene that the network sees together."""

    start: int
    """Place of the first frame in the scene."""

    frames: list[Frame]
    """The frames."""

    is_last: bool
    """Whether the scene ends with it."""


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
