"""A stream of frames restored and judged, in order, in memory that does not grow with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby

from torch import Tensor

from selfhvd_cli.clip import Clip
from selfhvd_cli.device import Compute
from selfhvd_cli.errors import InputFault
from selfhvd_cli.pipeline import Ahead
from selfhvd_cli.restore.crew import Crew
from selfhvd_cli.restore.engine import Engine
from selfhvd_cli.restore.guard import Verdict
from selfhvd_cli.restore.held import Packed
from selfhvd_cli.restore.outcome import Outcome, judge
from selfhvd_cli.restore.plan import Plan
from selfhvd_cli.restore.restorer import Restorer
from selfhvd_cli.restore.scene_cuts import number_scenes
from selfhvd_cli.restore.transfer import computed_ahead
from selfhvd_cli.restore.windows import Frame, judge_scene, restore_scene
from selfhvd_cli.video.codes import Codes


@dataclass(frozen=True)
class Restored:
    """One frame of the result."""

    picture: Tensor | Codes | None
    """What a writer takes: `[3, H, W]`, float32 on the CPU, RGB in [0, 1]; or, where the frame came as `Planes`, its
    codes. None where an earlier run restored it."""

    time: Fraction
    """Presentation time in seconds, that of the input frame."""

    verdict: Verdict
    """What the guard did with it; strength 0 means that the frame is the input."""

    events: tuple[str, ...] = ()
    """What happened since the frame before: smaller tiles, another precision."""

    source: Tensor | None = None
    """The input frame that `picture` is a change of, as the guard saw it; None where it is not in main memory."""

    @property
    def frame(self) -> Tensor:
        """`[3, H, W]`, float32 on the CPU, RGB in [0, 1]."""
        assert self.picture is not None, "an earlier run has it"
        return self.picture.rgb() if isinstance(self.picture, Codes) else self.picture


def restore_clips(
    restorer: Restorer, clips: Iterable[Clip], plan: Plan, compute: Compute, crew: Crew | None = None
) -> Iterator[Restored]:
    """`restore_stream` of consecutive pieces of a video, commonly of one frame; with strength 0 the same frames."""
    pairs = (pair for clip in clips for pair in zip(clip.frames, clip.times, strict=True))
    if plan.strength == 0.0:
        for picture, time in pairs:
            yield Restored(picture, time, Verdict(0.0, 1.0, reason="strength 0"))
        return
    frames = (Frame(Packed.of(picture), time) for picture, time in pairs)
    yield from restore_stream(restorer, frames, plan, compute, crew)


def restore_stream(
    restorer: Restorer,
    frames: Iterable[Frame],
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
        frames: all of one size; taken in a thread of their own, for the network's has enough to do.
        plan: windows, tiles, strength.
        compute: device and precision.
        crew: processes that run the network in place of this one; a few more windows are then held.
        done: frames at the beginning that an earlier run restored. They come back without a picture, with strength 0;
            what is behind them is the same as if they had been restored now.

    Raises:
        MemoryFault: out of memory, also with the smallest tiles and windows.
        InputFault: the frame size changes within the video.
    """
    engine = Engine(restorer, plan, compute)
    with Ahead(_of_one_size(frames), 1) as ahead:
        for scene in scenes(iter(ahead), plan.scene_cut):
            for frame, outcome in _judged(engine, scene, plan, crew, done):
                yield _result(frame, outcome, engine)
                done -= 1


def _judged(
    engine: Engine, scene: Iterator[Frame], plan: Plan, crew: Crew | None, done: int
) -> Iterator[tuple[Frame, Outcome | None]]:
    """The frames of one scene after the guard, in order; None where nobody needs them."""
    if crew is not None and engine.restorer.convention.remembers_frames:
        for place, (frame, outcome) in enumerate(judge_scene(engine, scene, plan, crew, done)):
            yield frame, None if place < done else outcome
        return
    with computed_ahead(restore_scene(engine, scene, plan, crew, done), engine.compute.device) as batches:
        for batch in batches:
            known = max(0, min(done, len(batch)))
            done -= known
            yield from ((frame, None) for frame, _ in batch[:known])
            pairs = [(frame.held, picture) for frame, picture in batch[known:] if picture is not None]
            yield from zip((frame for frame, _ in batch[known:]), judge(engine, pairs), strict=True)


def _result(frame: Frame, outcome: Outcome | None, engine: Engine) -> Restored:
    """What became of a frame; None stands for what an earlier run restored."""
    if outcome is None:
        return Restored(None, frame.time, Verdict(0.0, 0.0, reason="restored before"))
    source, device = outcome.source, engine.compute.device
    if source is None and device.type == "cpu":  # another process judged it
        source = frame.held.rgb(device)
    picture = frame.held.finished(outcome.landed)
    return Restored(picture, frame.time, outcome.verdict, engine.take_events(), source)


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
    return frame.held.thin(max(1, min(frame.held.size) // 200))


def _of_one_size(frames: Iterable[Frame]) -> Iterator[Frame]:
    """All frames of a video.

    Raises:
        InputFault: their size changes.
    """
    size: tuple[int, int] | None = None
    for frame in frames:
        size = size or frame.held.size
        if frame.held.size != size:
            was, now = (f"{width}x{height}" for height, width in (size, frame.held.size))
            at = float(frame.time)
            raise InputFault(f"the frame size changes from {was} to {now} at {at:.3f} s: cut the video there first.")
        yield frame
