"""Engine: windows and frames through the network, with tiles, retries in less memory and retries in float32."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from selfhvd_cli.device import Compute
from selfhvd_cli.errors import MemoryFault, means_out_of_memory
from selfhvd_cli.ops.batches import joined, some_by_some
from selfhvd_cli.ops.transfer import to_host
from selfhvd_cli.restore.arrange import in_precision
from selfhvd_cli.restore.held import Held
from selfhvd_cli.restore.memory import available_memory, in_words, release
from selfhvd_cli.restore.plan import Plan
from selfhvd_cli.restore.restorer import Restorer
from selfhvd_cli.restore.tiles import Area, restore_tiled

Job = tuple[Sequence[Held], int]
"""Consecutive frames, and the place of the one among them that is to be restored."""


class Engine:
    """Runs windows and remembers what it learnt on the way: the sizes that fit, the precision that holds."""

    def __init__(self, restorer: Restorer, plan: Plan, compute: Compute) -> None:
        self.restorer = in_precision(restorer, compute.dtype)
        self.plan = plan
        self.compute = compute
        self._exact = restorer
        self._events: list[str] = []
        self._shots: dict[tuple[int, Area], tuple[Held, Any]] = {}

    def take_events(self) -> tuple[str, ...]:
        """What happened since the last call, in words."""
        events, self._events = tuple(self._events), []
        return events

    def hear(self, events: tuple[str, ...]) -> None:
        """Pass on what happened to another engine that works for this one."""
        self._events += events

    def take_fewer(self) -> bool:
        """Half as many frames at a time from here on, after memory ran out; False where it is one already."""
        lesser = self.plan.fewer()
        if lesser is None:
            return False
        self._events.append(
            f"out of memory with {self.plan.together} frames at a time: the same ones {lesser.together} at a time"
        )
        self.plan = lesser
        return True

    def restore(self, frames: Sequence[Held], keep: slice) -> Tensor:
        """Restore one window.

        Args:
            frames: T consecutive frames.
            keep: which of them are wanted.

        Returns:
            `[K, 3, H, W]`, float32 on the CPU.

        Raises:
            MemoryFault: also the smallest pieces do not fit.
        """
        if self.restorer.convention.remembers_frames:
            jobs = [(frames, target) for target in range(*keep.indices(len(frames)))]
            # Some at a time here, too: what is done leaves the device.
            return joined([self.restore_each(some).cpu() for some in some_by_some(jobs, self.plan.together)])
        return self._soundly(lambda: self._retry(lambda: self._in_parts(frames, keep), frames[0]), frames[keep])

    def restore_each(self, jobs: Sequence[Job]) -> Tensor:
        """Restore frames with a network that remembers them, as many together as the plan says.

        What it computed of a frame serves later calls that give the same one again.

        Returns:
            `[B, 3, H, W]`, float32 on the device.

        Raises:
            MemoryFault: as `restore`.
        """
        given = {id(frame) for frames, _ in jobs for frame in frames}
        self._shots = {place: kept for place, kept in self._shots.items() if place[0] in given}
        targets = [frames[target] for frames, target in jobs]
        return self._soundly(lambda: self._retry(lambda: self._in_turns(jobs), targets[0]), targets)

    def _soundly(self, restore: Callable[[], Tensor], targets: Sequence[Held]) -> Tensor:
        """A result made of numbers: computed again in float32, and so from here on, where the precision spoils it."""
        restored = restore()
        if self.compute.dtype != torch.float32 and not _are_sound(restored, targets):
            dtype = str(self.compute.dtype).removeprefix("torch.")
            self._events.append(f"{dtype} on {self.compute.device} spoils its numbers: going on in float32")
            self.compute = replace(self.compute, dtype=torch.float32)
            self.restorer = self._exact
            self._shots.clear()
            restored = restore()
        return restored

    def _retry(self, restore: Callable[[], Tensor], like: Held) -> Tensor:
        """Run with smaller and smaller pieces until they fit; `like` tells the size of the frames."""
        while True:
            try:
                return restore()
            except (RuntimeError, MemoryError) as error:
                if not means_out_of_memory(error):
                    raise
            # Only here, outside the handler, the failed attempt's tensors are no longer referred to.
            self._shots.clear()
            release(self.compute.device)
            self._shrink(*like.size)

    def _shrink(self, height: int, width: int) -> None:
        convention = self.restorer.convention
        # Other networks restore whole windows: how many frames are judged at a time is nothing to them.
        plan = self.plan if convention.remembers_frames else replace(self.plan, together=1)
        lesser = plan.smaller(height, width, convention.min_size)
        if lesser is None:
            free = in_words(available_memory(self.compute.device, self.plan.max_memory))
            raise MemoryFault(
                f"out of memory on {self.compute.device}: {self.plan} of {width}x{height} do not fit into {free}; "
                "close other programs, raise --max-memory, or choose a smaller network with --model."
            )
        self._events.append(f"out of memory with {self.plan}: the same frames again with {lesser}")
        self.plan = lesser

    def _in_parts(self, frames: Sequence[Held], keep: slice) -> Tensor:
        """Run the window whole, or in shorter ones side by side once the plan's window has become shorter."""
        length = self.plan.window
        if len(frames) <= length:
            return self._tiled(frames, keep)
        parts = []
        context = self.plan.overlap // 2
        advance = max(1, length - 2 * context)
        for begin in range(keep.start, keep.stop, advance):
            end = min(begin + advance, keep.stop)
            start = max(0, min(begin - context, len(frames) - length))
            stop = min(len(frames), start + length)
            parts.append(self._tiled(frames[start:stop], slice(begin - start, end - start)))
        return torch.cat(parts)

    def _tiled(self, frames: Sequence[Held], keep: slice) -> Tensor:
        """The window in one call of the network for each tile."""

        def run(area: Area) -> Tensor:
            clip = torch.empty(1, len(frames), 3, area.height, area.width, device=self.compute.device)
            for place, frame in zip(clip[0], frames, strict=True):
                place.copy_(frame.rgb(self.compute.device, area))
            with torch.inference_mode(), self.compute.autocast():
                restored: Tensor = self.restorer(clip, keep)[0]
            return to_host([restored])[0]

        return self._over_tiles(run, frames[0])

    def _in_turns(self, jobs: Sequence[Job]) -> Tensor:
        """As many frames together as the plan says, which may be fewer than before."""
        return joined([self._together(some) for some in some_by_some(jobs, self.plan.together)])

    def _together(self, jobs: Sequence[Job]) -> Tensor:
        """Frames among others; among fewer of them once the plan's window has become shorter."""
        around = []
        for frames, target in jobs:
            reach = len(frames) if len(frames) <= self.plan.window else (self.plan.window - 1) // 2
            first = max(0, target - reach)
            around.append((frames[first : target + reach + 1], target - first))

        def run(area: Area) -> Tensor:
            with torch.inference_mode(), self.compute.autocast():
                targets = [([self._shot(frame, area) for frame in frames], target) for frames, target in around]
                return self.restorer.restore_shots(targets, area.height, area.width)

        return self._over_tiles(run, around[0][0][0])

    def _shot(self, frame: Held, area: Area) -> Any:
        """What the network keeps of one tile of a frame."""
        place, device = (id(frame), area), self.compute.device
        if place not in self._shots:
            # With the frame itself, so that no other can have its identity. A shot must not know its engine, or
            # neither ends before Python looks for rings of objects, and until then gigabytes are held.
            self._shots[place] = frame, self.restorer.shot(lambda: frame.rgb(device, area))
        return self._shots[place][1]

    def _over_tiles(self, run: Callable[[Area], Tensor], like: Held) -> Tensor:
        plan, (height, width) = self.plan, like.size
        multiple_of = self.restorer.convention.multiple_of
        return restore_tiled(run, height, width, plan.tile, plan.tile_overlap, multiple_of)


def _are_sound(restored: Tensor, frames: Sequence[Held]) -> bool:
    """Whether results `[B, 3, H, W]` are made of numbers, and not black where the input was not."""
    for total, picture, frame in zip(restored.sum((1, 2, 3)).tolist(), restored, frames, strict=True):
        if not math.isfinite(total):
            return False
        dark = total <= 0.01 * picture.numel() and float(picture.amax()) <= 0.02
        if dark and float(frame.rgb(picture.device).amax()) >= 0.1:
            return False
    return True
