"""Engine: windows and frames through the network, with tiles, retries in less memory and retries in float32."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from selfhvd_cli.device import Compute
from selfhvd_cli.errors import MemoryFault, means_out_of_memory
from selfhvd_cli.restore.arrange import in_precision
from selfhvd_cli.restore.memory import available_memory, in_words, release
from selfhvd_cli.restore.packing import unpack
from selfhvd_cli.restore.plan import Plan
from selfhvd_cli.restore.restorer import Restorer
from selfhvd_cli.restore.tiles import Area, restore_tiled
from selfhvd_cli.restore.transfer import to_device, to_host


class Engine:
    """Runs windows and remembers what it learnt on the way: the sizes that fit, the precision that holds."""

    def __init__(self, restorer: Restorer, plan: Plan, compute: Compute) -> None:
        self.restorer = in_precision(restorer, compute.dtype)
        self.plan = plan
        self.compute = compute
        self._exact = restorer
        self._events: list[str] = []
        self._shots: dict[tuple[int, Area], tuple[Tensor, Any]] = {}

    def take_events(self) -> tuple[str, ...]:
        """What happened since the last call, in words."""
        events, self._events = tuple(self._events), []
        return events

    def hear(self, events: tuple[str, ...]) -> None:
        """Pass on what happened to another engine that works for this one."""
        self._events += events

    def restore(self, frames: list[Tensor], keep: slice) -> Tensor:
        """Restore one window.

        Args:
            frames: T packed frames `[3, H, W]`.
            keep: which of them are wanted.

        Returns:
            `[K, 3, H, W]`, float32 on the CPU.

        Raises:
            MemoryFault: also the smallest pieces do not fit.
        """
        if self.restorer.convention.remembers_frames:
            return torch.stack([picture.cpu() for picture in self.restore_each(frames, keep)])
        packed = torch.stack(frames)
        return self._soundly(lambda: self._retry(lambda: self._in_parts(packed, keep), packed), packed[keep])

    def restore_each(self, frames: Sequence[Tensor], keep: slice) -> Iterator[Tensor]:
        """Restore one window with a network that remembers frames, one result at a time.

        What it computed of a frame serves later calls that give the same tensor again.

        Returns:
            K times `[3, H, W]`, float32 on the device, each computed when it is asked for.

        Raises:
            MemoryFault: as `restore`.
        """
        given = {id(frame) for frame in frames}
        self._shots = {place: kept for place, kept in self._shots.items() if place[0] in given}
        for target in range(*keep.indices(len(frames))):
            packed = frames[target]
            yield self._soundly(
                lambda target=target, packed=packed: self._retry(lambda: self._one(frames, target), packed),  # type: ignore[misc]
                packed,
            )

    def _soundly(self, restore: Callable[[], Tensor], packed: Tensor) -> Tensor:
        """A result made of numbers: computed again in float32, and so from here on, where the precision spoils it."""
        restored = restore()
        if self.compute.dtype != torch.float32 and not _is_sound(restored, packed):
            dtype = str(self.compute.dtype).removeprefix("torch.")
            self._events.append(f"{dtype} on {self.compute.device} spoils its numbers: going on in float32")
            self.compute = replace(self.compute, dtype=torch.float32)
            self.restorer = self._exact
            self._shots.clear()
            restored = restore()
        return restored

    def _retry(self, restore: Callable[[], Tensor], packed: Tensor) -> Tensor:
        """Run with smaller and smaller pieces until they fit; `packed` `[..., H, W]` tells the size."""
        while True:
            try:
                return restore()
            except (RuntimeError, MemoryError) as error:
                if not means_out_of_memory(error):
                    raise
            # Only here, outside the handler, the failed attempt's tensors are no longer referred to.
            self._shots.clear()
            release(self.compute.device)
            self._shrink(packed.shape[-2], packed.shape[-1])

    def _shrink(self, height: int, width: int) -> None:
        lesser = self.plan.smaller(height, width, self.restorer.convention.min_size)
        if lesser is None:
            free = in_words(available_memory(self.compute.device, self.plan.max_memory))
            raise MemoryFault(
                f"out of memory on {self.compute.device}: {self.plan} of {width}x{height} do not fit into {free}; "
                "close other programs, raise --max-memory, or choose a smaller network with --model."
            )
        self._events.append(f"out of memory with {self.plan}: the same frames again with {lesser}")
        self.plan = lesser

    def _in_parts(self, packed: Tensor, keep: slice) -> Tensor:
        """Run the window whole, or in shorter ones side by side once the plan's window has become shorter."""
        length = self.plan.window
        if len(packed) <= length:
            return self._tiled(packed, keep)
        parts = []
        context = self.plan.overlap // 2
        advance = max(1, length - 2 * context)
        for begin in range(keep.start, keep.stop, advance):
            end = min(begin + advance, keep.stop)
            start = max(0, min(begin - context, len(packed) - length))
            stop = min(len(packed), start + length)
            parts.append(self._tiled(packed[start:stop], slice(begin - start, end - start)))
        return torch.cat(parts)

    def _tiled(self, packed: Tensor, keep: slice) -> Tensor:
        """The window `[T, 3, H, W]` in one call of the network for each tile."""

        def run(area: Area) -> Tensor:
            frames = unpack(to_device(area.of(packed), self.compute.device))
            with torch.inference_mode(), self.compute.autocast():
                restored: Tensor = self.restorer(frames.unsqueeze(0), keep)[0]
            return to_host(restored)

        return self._over_tiles(run, packed)

    def _one(self, frames: Sequence[Tensor], target: int) -> Tensor:
        """One frame among the others; fewer of them once the plan's window has become shorter."""
        reach = len(frames) if len(frames) <= self.plan.window else (self.plan.window - 1) // 2
        first = max(0, target - reach)
        around = frames[first : target + reach + 1]

        def run(area: Area) -> Tensor:
            with torch.inference_mode(), self.compute.autocast():
                shots = [self._shot(frame, area) for frame in around]
                height, width = area.of(frames[target]).shape[-2:]
                return self.restorer.restore_shot(shots, target - first, height, width)

        return self._over_tiles(run, frames[target])

    def _shot(self, packed: Tensor, area: Area) -> Any:
        """What the network keeps of one tile of a frame."""
        place = id(packed), area
        if place not in self._shots:

            def load() -> Tensor:
                return unpack(to_device(area.of(packed), self.compute.device))

            # With the frame itself, so that no other can have its identity.
            self._shots[place] = packed, self.restorer.shot(load)
        return self._shots[place][1]

    def _over_tiles(self, run: Callable[[Area], Tensor], packed: Tensor) -> Tensor:
        plan, (height, width) = self.plan, packed.shape[-2:]
        multiple_of = self.restorer.convention.multiple_of
        return restore_tiled(run, height, width, plan.tile, plan.tile_overlap, multiple_of)


def _is_sound(restored: Tensor, packed: Tensor) -> bool:
    """Whether a result is made of numbers, and not black where the input was not."""
    total = float(restored.sum())
    if not math.isfinite(total):
        return False
    if total > 0.01 * restored.numel():
        return True
    return bool(restored.amax() > 0.02) or bool(unpack(packed).amax() < 0.1)
