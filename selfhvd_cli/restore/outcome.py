"""Outcome: what becomes of one frame, the guard having looked at the network's picture of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from selfhvd_cli.errors import means_out_of_memory
from selfhvd_cli.ops.batches import joined, some_by_some
from selfhvd_cli.ops.transfer import to_host
from selfhvd_cli.restore.engine import Engine
from selfhvd_cli.restore.guard import Verdict, apply, guard_each
from selfhvd_cli.restore.held import Held
from selfhvd_cli.restore.memory import release
from selfhvd_cli.restore.transfer import computed_ahead


class Outcome(NamedTuple):
    """The result of one frame, in main memory; it may come from another process."""

    landed: Tensor
    """What `Held.finished` of that frame makes a writer's picture of."""

    verdict: Verdict
    """What the guard did with it; strength 0 means that the frame is the input."""

    source: Tensor | None = None
    """The frame as the guard saw it, `[3, H, W]`, where it was in main memory of this process."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Through a pipe as numpy: torch would share memory through files. Who asked has the source.
        return _outcome_again, (self.landed.numpy(), self.verdict)


def judge(engine: Engine, pairs: Sequence[tuple[Held, Tensor]]) -> Iterator[Outcome]:
    """Frames and the network's pictures of them `[3, H, W]` after the guard, as many at a time as fit."""
    while pairs:
        some = pairs[: engine.plan.together]
        try:
            judged = _judged(engine, some)
        except (RuntimeError, MemoryError) as fault:
            if not means_out_of_memory(fault) or not engine.take_fewer():
                raise
            judged = []
        if judged:
            yield from judged
            pairs = pairs[len(some) :]
        else:
            # Outside the handler, where nothing refers to the failed attempt's tensors any more.
            release(engine.compute.device)


def restore_and_judge(engine: Engine, frames: Sequence[Held], keep: slice) -> list[Outcome]:
    """The wanted ones of a window's frames, by a network that remembers frames: its pictures of them are final.

    Args:
        frames: T consecutive frames.
        keep: which of them are wanted.

    Raises:
        MemoryFault: as `Engine.restore`.
    """

    def batches() -> Iterator[list[tuple[Held, Tensor]]]:
        for some in some_by_some(range(*keep.indices(len(frames))), engine.plan.together):
            pictures = engine.restore_each([(frames, target) for target in some])
            yield [(frames[target], picture) for target, picture in zip(some, pictures, strict=True)]

    with computed_ahead(batches(), engine.compute.device) as ready:
        pairs = ([(held, picture) for held, picture in batch if picture is not None] for batch in ready)
        return [outcome for some in pairs for outcome in judge(engine, some)]


def _outcome_again(landed: Any, verdict: Verdict) -> Outcome:
    return Outcome(torch.from_numpy(landed), verdict)


def _judged(engine: Engine, pairs: Sequence[tuple[Held, Tensor]]) -> list[Outcome]:
    device, plan = engine.compute.device, engine.plan
    source = joined([held.rgb(device).unsqueeze(0) for held, _ in pairs])
    picture = joined([picture.to(device).unsqueeze(0) for _, picture in pairs])
    if plan.guard:
        judged = guard_each(source, picture, plan.strength)
    else:
        judged = [apply(*pair, plan.strength) for pair in zip(source, picture, strict=True)]
    outcomes = [
        held.outcome(before, after) for (held, _), before, (after, _) in zip(pairs, source, judged, strict=True)
    ]
    sources = source if device.type == "cpu" else [None] * len(pairs)
    return [
        Outcome(landed, verdict, before)
        for landed, (_, verdict), before in zip(to_host(outcomes), judged, sources, strict=True)
    ]
