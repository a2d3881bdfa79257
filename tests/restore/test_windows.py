"""Windows: every frame once, in order, seams in time faded, cuts respected, memory bounded."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from fractions import Fraction

import pytest
import torch
from restore_stand_ins import CPU, Identity, Selecting, one_frame_clips, texture
from torch import Tensor, nn

from selfhvd_cli.clip import Clip
from selfhvd_cli.errors import InputFault
from selfhvd_cli.restore.held import Packed
from selfhvd_cli.restore.packing import pack
from selfhvd_cli.restore.plan import Plan
from selfhvd_cli.restore.restorer import Convention, Restorer
from selfhvd_cli.restore.stream import Restored, restore_clips, restore_stream
from selfhvd_cli.restore.windows import Frame

SELECTS = Convention(selects_frames=True)


def still(count: int) -> Tensor:
    """One scene: the same picture again and again, a little brighter each time."""
    return texture(1, 32, 40) * 0.5 + torch.linspace(0.0, 0.4, count).view(-1, 1, 1, 1)


def run(network: nn.Module, frames: Tensor, plan: Plan, convention: Convention | None = None) -> Tensor:
    restorer = Restorer(network, convention or Convention())
    results = list(restore_clips(restorer, one_frame_clips(frames), plan, CPU))
    assert [result.time for result in results] == [Fraction(i, 30) for i in range(len(frames))]
    return torch.stack([result.frame for result in results])


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9, 20])
@pytest.mark.parametrize(("window", "overlap"), [(1, 0), (4, 2), (8, 3), (9, 6)])
@pytest.mark.parametrize("selects", [False, True])
def test_every_frame_comes_out_once_in_order(count: int, window: int, overlap: int, selects: bool) -> None:
    frames = still(count)
    network = Selecting(reach=0) if selects else Identity()
    plan = Plan(window, overlap, guard=False)
    torch.testing.assert_close(run(network, frames, plan, SELECTS if selects else None), frames, atol=4e-5, rtol=0)


def test_results_come_with_the_frame_that_they_are_a_change_of() -> None:
    """Where nothing was changed the difference of the two is nothing, not the rounding of a buffer."""
    frames = texture(3, 32, 40)
    results = list(restore_clips(Restorer(Identity(), Convention()), one_frame_clips(frames), Plan(2), CPU))
    for result, frame in zip(results, frames, strict=True):
        assert result.source is not None
        assert torch.equal(result.frame, result.source)
        torch.testing.assert_close(result.source, frame, atol=1 / 32768, rtol=0)


@pytest.mark.parametrize("count", [5, 16, 23])
def test_a_selecting_network_gets_its_context_and_computes_each_frame_once(count: int) -> None:
    frames = still(count)
    network = Selecting(reach=2)
    windowed = run(network, frames, Plan(9, 4, guard=False), SELECTS)
    assert sum(keep.stop - keep.start for keep in network.kept) == count
    whole = Selecting(reach=2)(frames.unsqueeze(0), slice(0, count))[0]
    torch.testing.assert_close(windowed, whole, atol=4e-5, rtol=0)


class Warmup(nn.Module):
    """A recurrent network's habit: results drift with the place in the window."""

    def forward(self, frames: Tensor) -> Tensor:
        drift = torch.linspace(0.0, 0.2, frames.shape[1]).view(1, -1, 1, 1, 1)
        return frames * 0.0 + 0.2 + drift


def test_overlaps_are_cross_faded() -> None:
    frames = still(40)
    steps = run(Warmup(), frames, Plan(10, 0, guard=False)).mean((1, 2, 3)).diff().abs().max()
    faded = run(Warmup(), frames, Plan(10, 5, guard=False)).mean((1, 2, 3)).diff().abs().max()
    assert steps > 0.19
    assert faded < 0.05


def test_nothing_bleeds_over_a_scene_cut() -> None:
    first, second = texture(1, 64, 96, seed=1), texture(1, 64, 96, seed=2)
    frames = torch.cat([first.expand(6, -1, -1, -1), second.expand(7, -1, -1, -1)])
    plan = Plan(7, 4, guard=False)
    clean = run(Selecting(reach=3), frames, plan, SELECTS)
    torch.testing.assert_close(clean, frames, atol=4e-5, rtol=0)
    bled = run(Selecting(reach=3), frames, Plan(7, 4, guard=False, scene_cut=False), SELECTS)
    assert (bled - frames).abs().max() > 0.1


def test_frames_are_read_only_as_far_as_a_window_needs() -> None:
    read = 0

    def endless():
        nonlocal read
        for clip in one_frame_clips(still(400)):
            read += 1
            yield clip

    stream = restore_clips(Restorer(Identity(), Convention()), endless(), Plan(6, 2, guard=False), CPU)
    for given in range(100):
        next(stream)
        assert read <= given + 6 + 2 + 4, "the stream reads ahead without bound"


class Remembering(nn.Module):
    """Adds to a frame the mean of all it is given with it; counts the frames it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown = self.together = 0

    def shot(self, load: Callable[[], Tensor]) -> Tensor:
        self.shown += 1
        return load()

    def restore_shots(self, targets: Sequence[tuple[Sequence[Tensor], int]]) -> Tensor:
        self.together = max(self.together, len(targets))
        near = [torch.cat(list(shots[max(0, target - 2) : target + 3])).mean(0) for shots, target in targets]
        return (torch.cat([shots[target] for shots, target in targets]) + torch.stack(near)) / 2


REMEMBERS = Convention(selects_frames=True, remembers_frames=True)


@pytest.mark.parametrize("together", [1, 4])
@pytest.mark.parametrize(("window", "overlap"), [(5, 4), (9, 4), (50, 0)])
def test_a_network_that_remembers_frames_sees_each_once_and_all_around_it(
    window: int, overlap: int, together: int
) -> None:
    frames = still(23)
    network = Remembering()
    result = run(network, frames, Plan(window, overlap, together=together, guard=False), REMEMBERS)
    assert network.together == together
    around = torch.stack([frames[max(0, i - 2) : i + 3].mean(0) for i in range(23)])
    torch.testing.assert_close(result, (frames + around) / 2, atol=1e-4, rtol=0)
    assert network.shown == 23


@pytest.mark.parametrize("together", [1, 4])
def test_frames_are_let_go_once_no_window_needs_them(monkeypatch: pytest.MonkeyPatch, together: int) -> None:
    packed: list[weakref.ref[Tensor]] = []

    def watched(frame: Tensor) -> Tensor:
        result = pack(frame)
        packed.append(weakref.ref(result))
        return result

    monkeypatch.setattr("selfhvd_cli.restore.held.pack", watched)
    stream = restore_clips(
        Restorer(Remembering(), REMEMBERS),
        one_frame_clips(still(60)),
        Plan(5, 4, together=together, guard=False),
        CPU,
    )
    for _ in stream:
        # The window, some on their way through generators, and those packed ahead.
        assert sum(each() is not None for each in packed) <= 5 + together + 3 + 3


class Sociable(Remembering):
    """What it makes of a frame depends on those restored with it, as the last bits do on a device."""

    def restore_shots(self, targets: Sequence[tuple[Sequence[Tensor], int]]) -> Tensor:
        alone = super().restore_shots(targets)
        return (alone + alone.mean(0, keepdim=True)) / 2


@pytest.mark.parametrize("done", [1, 4, 6, 13])
def test_a_run_that_goes_on_restores_frames_in_the_company_they_would_have_had(done: int) -> None:
    def results(done: int) -> list[Restored]:
        frames = (Frame(Packed.of(frame), Fraction(index, 30)) for index, frame in enumerate(still(17)))
        restorer, plan = Restorer(Sociable(), REMEMBERS), Plan(5, 4, together=4, guard=False)
        return list(restore_stream(restorer, frames, plan, CPU, done=done))

    whole, rest = results(0), results(done)
    assert [each.picture for each in rest[:done]] == [None] * done
    assert all(torch.equal(one.frame, two.frame) for one, two in zip(whole[done:], rest[done:], strict=True))


def test_strength_zero_gives_the_very_same_frames() -> None:
    frames = still(5)
    assert torch.equal(run(Warmup(), frames, Plan(3, 1, strength=0.0)), frames)


def test_a_changing_frame_size_is_named() -> None:
    clips = [Clip(texture(1, 32, 32), (Fraction(0),)), Clip(texture(1, 32, 48), (Fraction(1, 30),))]
    with pytest.raises(InputFault, match=r"32x32 to 48x32 at 0\.033"):
        list(restore_clips(Restorer(Identity(), Convention()), clips, Plan(2, guard=False), CPU))
