"""Memory: plans fit, running out is survived and told, the same frames come out."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Sequence

import pytest
import torch
from restore_stand_ins import CPU, one_frame_clips, texture
from torch import Tensor, nn

from selfhvd_cli.device import Compute
from selfhvd_cli.errors import MemoryFault, UsageFault, means_out_of_memory
from selfhvd_cli.restore.architectures import ARCHITECTURES
from selfhvd_cli.restore.engine import Engine
from selfhvd_cli.restore.guard import Verdict, guard_each
from selfhvd_cli.restore.held import Packed
from selfhvd_cli.restore.load import fresh_restorer
from selfhvd_cli.restore.memory import available_memory, in_words
from selfhvd_cli.restore.plan import (
    COMFORTABLE_TILE,
    SHORTEST_WINDOW,
    TOGETHER,
    Plan,
    buffer_memory,
    choose_plan,
    estimate_memory,
    shortage,
)
from selfhvd_cli.restore.restorer import Convention, Restorer
from selfhvd_cli.restore.stream import restore_clips

GIB = 1 << 30


class Hungry(nn.Module):
    """Brightens; fails as an allocator does when frames times pixels exceed what it was given."""

    def __init__(self, most: int, error: type[Exception] = RuntimeError) -> None:
        super().__init__()
        self.most = most
        self.error = error

    def forward(self, frames: Tensor) -> Tensor:
        if frames[0, :, 0].numel() > self.most:
            raise self.error("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")
        return frames * 0.5


@pytest.mark.parametrize("error", [RuntimeError, MemoryError, torch.cuda.OutOfMemoryError])
@pytest.mark.parametrize("most", [8 * 96 * 96, 8 * 64 * 64, 3 * 64 * 64])
def test_running_out_of_memory_is_retried_smaller_and_told(error: type[Exception], most: int) -> None:
    frames = texture(1, 128, 150).expand(11, -1, -1, -1)
    restorer = Restorer(Hungry(most, error), Convention())
    results = list(restore_clips(restorer, one_frame_clips(frames), Plan(8, 2, guard=False), CPU))
    torch.testing.assert_close(torch.stack([r.frame for r in results]), frames * 0.5, atol=4e-5, rtol=0)
    events = [event for result in results for event in result.events]
    assert events
    assert all("out of memory" in event and "px" in event for event in events)


class HungryForEach(nn.Module):
    """Remembers frames and brightens them; fails where it is to restore more than some at a time."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def shot(self, load: Callable[[], Tensor]) -> Tensor:
        return load()

    def restore_shots(self, targets: Sequence[tuple[Sequence[Tensor], int]]) -> Tensor:
        if len(targets) > self.most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return torch.cat([shots[target] for shots, target in targets]) * 0.5


def test_fewer_frames_at_a_time_come_before_smaller_pieces() -> None:
    frames = texture(1, 128, 150).expand(11, -1, -1, -1)
    restorer = Restorer(HungryForEach(1), Convention(selects_frames=True, remembers_frames=True))
    plan = Plan(5, 4, together=4, guard=False)
    results = list(restore_clips(restorer, one_frame_clips(frames), plan, CPU))
    torch.testing.assert_close(torch.stack([r.frame for r in results]), frames * 0.5, atol=4e-5, rtol=0)
    events = [event for result in results for event in result.events]
    assert len(events) == 2
    assert "with windows of 5 frames, whole frames, 2 at a time" in events[0]
    assert events[1].endswith("windows of 5 frames, whole frames")


def test_judging_that_runs_out_of_memory_takes_fewer_frames_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def hungry(frames: Tensor, restored: Tensor, strength: float) -> list[tuple[Tensor, Verdict]]:
        if len(frames) > 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return guard_each(frames, restored, strength)

    monkeypatch.setattr("selfhvd_cli.restore.outcome.guard_each", hungry)
    frames = texture(1, 64, 80).expand(11, -1, -1, -1)
    restorer = Restorer(HungryForEach(4), Convention(selects_frames=True, remembers_frames=True))
    results = list(restore_clips(restorer, one_frame_clips(frames), Plan(5, 4, together=4), CPU))
    assert len(results) == 11
    events = [event for result in results for event in result.events]
    assert [event.startswith("out of memory with") for event in events] == [True, True]


def test_an_accelerator_restores_frames_together_where_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selfhvd_cli.restore.plan.available_memory", lambda device, limit: limit)
    cuda = Compute(torch.device("cuda"), torch.float16, "a test")
    row = ARCHITECTURES["lite"]
    large = choose_plan(row, 1080, 1920, cuda, max_memory=16 * GIB)
    assert (large.together, large.tile, large.window) == (TOGETHER, None, row.window)
    small = choose_plan(row, 1080, 1920, cuda, max_memory=4 * GIB)
    assert (small.together, small.tile) < (TOGETHER, 10**6)
    assert choose_plan(row, 1080, 1920, CPU, max_memory=16 * GIB).together == 1


def test_memory_that_never_suffices_ends_with_the_fault() -> None:
    restorer = Restorer(Hungry(100), Convention())
    with pytest.raises(MemoryFault, match="--max-memory") as caught:
        list(restore_clips(restorer, one_frame_clips(texture(3, 128, 128)), Plan(2, guard=False), CPU))
    assert caught.value.exit_code == 6


def test_other_errors_are_not_taken_for_memory() -> None:
    class Broken(nn.Module):
        def forward(self, frames: Tensor) -> Tensor:
            raise RuntimeError("shape mismatch")

    assert not means_out_of_memory(RuntimeError("shape mismatch"))
    with pytest.raises(RuntimeError, match="shape mismatch"):
        list(restore_clips(Restorer(Broken(), Convention()), one_frame_clips(texture(1, 32, 32)), Plan(1), CPU))


class SpoiltInHalf(nn.Module):
    """Gives NaN under autocast, as some devices do in half precision."""

    def forward(self, frames: Tensor) -> Tensor:
        return frames * (float("nan") if torch.is_autocast_enabled("cpu") else 0.9)


def test_a_precision_that_spoils_numbers_is_left_for_float32() -> None:
    frames = texture(1, 48, 48).expand(7, -1, -1, -1)
    half = Compute(torch.device("cpu"), torch.bfloat16, "a test")
    stream = restore_clips(
        Restorer(SpoiltInHalf(), Convention()), one_frame_clips(frames), Plan(3, 1, guard=False), half
    )
    results = list(stream)
    torch.testing.assert_close(torch.stack([r.frame for r in results]), frames * 0.9, atol=4e-5, rtol=0)
    events = [event for result in results for event in result.events]
    assert len(events) == 1
    assert "float32" in events[0]


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize(("height", "width"), [(720, 1280), (2160, 3840)])
@pytest.mark.parametrize("limit", [4 * GIB, 16 * GIB])
def test_plans_fit_the_limit_and_shrink_with_it(name: str, height: int, width: int, limit: int) -> None:
    row = ARCHITECTURES[name]
    plan = choose_plan(row, height, width, CPU, max_memory=limit)
    needed = estimate_memory(row, plan, height, width, CPU.dtype) + buffer_memory(plan, height, width)
    assert needed <= limit
    tight = choose_plan(row, height, width, CPU, max_memory=limit // 4)
    assert (tight.tile or 10**6, tight.window) <= (plan.tile or 10**6, plan.window)


def test_a_network_that_remembers_frames_gets_shorter_windows_before_tiny_tiles() -> None:
    """What it remembers of a frame is not smaller in smaller tiles, which overlap more."""
    row = ARCHITECTURES["lite"]
    plan = choose_plan(row, 2160, 3840, CPU, max_memory=7 * GIB)
    assert (plan.tile or 10**6) >= 1000
    assert SHORTEST_WINDOW < plan.window <= row.window
    assert (choose_plan(row, 2160, 3840, CPU, max_memory=2 * GIB).tile or 0) > COMFORTABLE_TILE // 2
    even = choose_plan(row, 1080, 1920, CPU, max_memory=2 * GIB)
    assert even.tile is not None
    assert 2 * even.tile - even.tile_overlap >= 1080, "two rows of tiles cover the frame"
    assert 2 * even.tile - even.tile_overlap <= 1080 + 16, "and do not overlap more than they must"


def test_small_clips_take_whole_frames_and_full_windows() -> None:
    plan = choose_plan(ARCHITECTURES["lite"], 240, 320, CPU, max_memory=4 * GIB)
    assert plan.tile is None
    assert plan.window == ARCHITECTURES["lite"].window


def test_what_the_user_chose_stays() -> None:
    plan = choose_plan(ARCHITECTURES["rvrt"], 2160, 3840, CPU, tile=512, window=6, max_memory=GIB)
    assert (plan.tile, plan.window) == (512, 6)


@pytest.mark.parametrize("wrong", [{"window": 0}, {"window": 4, "tile": 8}, {"window": 4, "strength": 1.5}])
def test_impossible_plans_name_the_option(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageFault, match=f"--{list(wrong)[-1]}"):
        Plan(**wrong)  # type: ignore[arg-type]


def test_a_limit_of_the_user_counts() -> None:
    assert available_memory(torch.device("cpu"), 1000) == 1000


def test_too_little_memory_for_the_smallest_plan_is_said() -> None:
    """A container ends a process that takes too much, and then nobody can say why."""
    row = ARCHITECTURES["lite"]
    tight = choose_plan(row, 1080, 1920, CPU, max_memory=GIB // 4)
    said = shortage(row, tight, 1080, 1920, CPU)
    assert said is not None
    assert "256.0 MiB may be used" in said
    assert shortage(row, choose_plan(row, 1080, 1920, CPU, max_memory=4 * GIB), 1080, 1920, CPU) is None


def test_what_an_engine_held_is_free_as_soon_as_it_ends() -> None:
    """Not when Python looks for rings of objects: adapting 1080p, gigabytes of engines that had ended were held."""
    restorer = fresh_restorer("lite", CPU.device).restorer
    engine = Engine(restorer, Plan(3, 2), CPU)
    gc.disable()
    try:
        engine.restore([Packed.of(torch.rand(3, 64, 64)) for _ in range(3)], slice(1, 2))
        ended = weakref.ref(engine)
        del engine
        assert ended() is None
    finally:
        gc.enable()


def test_sizes_read_well() -> None:
    assert in_words(3 * GIB // 2) == "1.5 GiB"
    assert in_words(5 << 20) == "5.0 MiB"
