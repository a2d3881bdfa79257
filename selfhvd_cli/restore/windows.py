"""Overlapping windows in time: a stream of frames restored in order, in memory that does not grow with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby

import torch
from torch import Tensor

from selfhvd_cli.clip import Clip
from selfhvd_cli.device import Compute
from selfhvd_cli.errors import InputFault
from selfhvd_cli.pipeline import Ahead
from selfhvd_cli.restore.crew import Crew
from selfhvd_cli.restore.engine import Engine
from selfhvd_cli.restore.guard import Verdict, apply, guard
from selfhvd_cli.restore.packing import pack, unpack
from selfhvd_cli.restore.plan import Plan
from selfhvd_cli.restore.restorer import Restorer
from selfhvd_cli.restore.scene_cuts import number_scenes
from selfhvd_cli.restore.transfer import computed_ahead, to_device, to_host


@dataclass(frozen=True)
class Restored:
    """One frame of the result."""

    frame: Tensor
    """`[3, H, W]`, float32 on the CPU, RGB in [0, 1]."""

    time: Fraction
    """Presentation time in seconds, that of the input frame."""

    verdict: Verdict
    """What the guard did with it; strength 0 means that the frame is the input."""

    events: tuple[str, ...] = ()
    """What happened since the frame before: smaller tiles, another precision."""

    source: Tensor | None = None
    """The input frame that `frame` is a change of, as the guard saw it; None where it is not in main memory."""


@dataclass(frozen=True)
class Frame:
    """One frame that waits for its window."""

    packed: Tensor
    """`[3, H, W]`, int16, see `packing`."""

    time: Fraction
    """Presentation time in seconds."""


def restore_stream(
    restorer: Restorer,
    clips: Iterable[Clip],
    plan: Plan,
    compute: Compute,
    crew: Crew | None = None,
    done: int = 0,
) -> Iterator[Restored]:
    """Restore a video of any length: exactly one result a frame, in order, times untouched.

    Windows end at scene cuts. A network that selects frames computes each frame once, with context on both sides;
    the outputs of other networks are cross-faded where windows overlap. At most two windows of frames are held.

    Args:
        restorer: on `compute.device`, in eval mode.
        clips: consecutive pieces of the video, commonly of one frame, all of one size.
        plan: windows, tiles, strength.
        compute: device and precision.
        crew: processes that run the network in place of this one; a few more windows are then held.
        done: frames at the beginning that an earlier run restored. They come back black, with strength 0; the windows
            behind them are the same as if they had been restored now.

    Raises:
        MemoryFault: out of memory, also with the smallest tiles and windows.
        InputFault: the frame size changes within the video.
    """
    if plan.strength == 0.0:
        for clip in clips:
            for picture, time in zip(clip.frames, clip.times, strict=True):
                yield Restored(picture, time, Verdict(0.0, 1.0, reason="strength 0"))
        return
    engine = Engine(restorer, plan, compute)
    # Packed in a thread of their own: the network's has enough to do.
    with Ahead(_packed(clips), 1) as frames:
        for scene in scenes(iter(frames), plan.scene_cut):
            with computed_ahead(restore_scene(engine, scene, plan, crew, done), compute.device) as pictures:
                for frame, picture in pictures:
                    if done > 0:
                        yield Restored(picture, frame.time, Verdict(0.0, 0.0, reason="restored before"))
                    else:
                        yield judge(frame, picture, plan, engine)
                    done -= 1


def scenes(frames: Iterator[Frame], scene_cut: bool) -> Iterator[Iterator[Frame]]:
    """The frames of each scene; every inner iterator must be used up before the next is asked for."""
    if not scene_cut:
        yield frames
        return
    numbered = number_scenes(frames, coarse)
    for _, group in groupby(numbered, key=lambda pair: pair[0]):
        yield (frame for _, frame in group)


def coarse(frame: Frame) -> Tensor:
    """A subsampled picture `[3, h, w]` of at least 200 rows or columns: enough to know a scene by."""
    step = max(1, min(frame.packed.shape[-2:]) // 200)
    return unpack(frame.packed[:, ::step, ::step])


def _packed(clips: Iterable[Clip]) -> Iterator[Frame]:
    """All frames of a video, packed.

    Raises:
        InputFault: their size changes.
    """
    size: torch.Size | None = None
    for clip in clips:
        size = size or clip.frames.shape[-2:]
        if clip.frames.shape[-2:] != size:
            was, now = f"{size[1]}x{size[0]}", f"{clip.frames.shape[-1]}x{clip.frames.shape[-2]}"
            at = float(clip.times[0])
            raise InputFault(f"the frame size changes from {was} to {now} at {at:.3f} s: cut the video there first.")
        for picture, time in zip(clip.frames, clip.times, strict=True):
            yield Frame(pack(picture), time)


def judge(frame: Frame, picture: Tensor, plan: Plan, engine: Engine) -> Restored:
    """The network's picture after the guard."""
    device = engine.compute.device
    source = unpack(to_device(frame.packed, device))
    check = guard if plan.guard else apply
    result, verdict = check(source, picture.to(device), plan.strength)
    kept = source if device.type == "cpu" else None
    return Restored(to_host(result), frame.time, verdict, engine.take_events(), kept)


def restore_scene(
    engine: Engine, scene: Iterator[Frame], plan: Plan, crew: Crew | None = None, done: int = 0
) -> Iterator[tuple[Frame, Tensor]]:
    """The frames of one scene, each with the network's picture `[3, H, W]`, in order.

    Args:
        done: frames at the beginning whose pictures nobody needs.
    """
    selects = engine.restorer.convention.selects_frames
    fading: list[tuple[Frame, Tensor]] = []
    for (window, keep), outputs in _computed(engine, _wanted(scene, plan, selects), crew, done):
        if selects:
            yield from zip(window.frames[keep], outputs, strict=True)
            continue
        ready = list(zip(window.frames[keep], outputs, strict=True))
        for index, (frame, earlier) in enumerate(fading):
            ready[index] = (frame, torch.lerp(earlier, ready[index][1], (index + 1) / (len(fading) + 1)))
        settled = len(ready) if window.is_last else len(ready) - plan.overlap
        fading = ready[settled:]
        yield from ready[:settled]


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
) -> Iterator[tuple[tuple[Window, slice], Iterable[Tensor]]]:
    """The network's pictures of each window, here or by a crew; black ones of windows that nobody needs."""
    first: list[tuple[Window, slice]] = []
    for window, keep in wanted:
        if window.start + keep.stop > done:
            first.append((window, keep))
            break
        yield (window, keep), [torch.zeros(()).expand(frame.packed.shape) for frame in window.frames[keep]]

    def rest() -> Iterator[tuple[Window, slice]]:
        # Taken out of the list (chain would hold on to it): a window is a lot of memory.
        while first:
            yield first.pop()
        yield from wanted

    if crew is None:
        each_alone = engine.restorer.convention.remembers_frames
        restore = engine.restore_each if each_alone else engine.restore
        for window, keep in rest():
            yield (window, keep), restore([frame.packed for frame in window.frames], keep)
        return
    work = ((each, torch.stack([frame.packed for frame in each[0].frames]), each[1]) for each in rest())
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
