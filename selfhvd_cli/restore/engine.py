"""Engine: one window through the network, with tiles, retries in less memory and retries in float32."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from selfhvd_cli.device import Compute
from selfhvd_cli.errors import MemoryFault
from selfhvd_cli.restore.memory import available_memory, in_words, is_out_of_memory, release
from selfhvd_cli.restore.packing import unpack
from selfhvd_cli.restore.plan import Plan
from selfhvd_cli.restore.restorer import Restorer
from selfhvd_cli.restore.tiles import restore_tiled


class Engine:
    """Runs windows and remembers what it learnt on the way: the sizes that fit, the precision that holds."""

    def __init__(self, restorer: Restorer, plan: Plan, compute: Compute) -> None:
        self.restorer = restorer
        self.plan = plan
        self.compute = compute
        self._events: list[str] = []

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
        packed = torch.stack(frames)
        restored = self._retry(packed, keep)
        if self.compute.dtype != torch.float32 and not _is_sound(restored, packed[keep]):
            dtype = str(self.compute.dtype).removeprefix("torch.")
            self._events.append(f"{dtype} on {self.compute.device} spoils its numbers: going on in float32")
            self.compute = replace(self.compute, dtype=torch.float32)
            restored = self._retry(packed, keep)
        return restored

    def _retry(self, packed: Tensor, keep: slice) -> Tensor:
        """Run with smaller and smaller pieces until they fit."""
        while True:
            try:
                return self._in_parts(packed, keep)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            # Only here, outside the handler, the failed attempt's tensors are no longer referred to.
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
        def run(tile: Tensor) -> Tensor:
            frames = unpack(tile.to(self.compute.device))
            with torch.inference_mode(), self.compute.autocast():
                restored: Tensor = self.restorer(frames.unsqueeze(0), keep)[0]
            return restored.cpu()

        plan = self.plan
        return restore_tiled(run, packed, plan.tile, plan.tile_overlap, self.restorer.convention.multiple_of)


def _is_sound(restored: Tensor, packed: Tensor) -> bool:
    """Whether a result is made of numbers, and not black where the input was not."""
    if not torch.isfinite(restored).all():
        return False
    return bool(restored.amax() > 0.02) or bool(unpack(packed).amax() < 0.1)
