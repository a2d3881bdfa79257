"""Restorer: every network's borders, colours and lengths behind one convention."""

from __future__ import annotations

import pytest
import torch
from restore_stand_ins import Identity, Selecting, texture
from torch import Tensor, nn

from selfhvd_cli.errors import UsageFault
from selfhvd_cli.restore.architectures import ARCHITECTURES, architecture
from selfhvd_cli.restore.restorer import Convention, Restorer


class Picky(nn.Module):
    """Refuses what its convention rules out, drops lost frames, and adds 0.1 to its first channel."""

    def __init__(self, convention: Convention) -> None:
        super().__init__()
        self.convention = convention

    def forward(self, frames: Tensor, keep: slice | None = None) -> Tensor:
        c = self.convention
        _, count, _, height, width = frames.shape
        assert height % c.multiple_of == 0
        assert width % c.multiple_of == 0
        assert min(height, width) >= c.min_size
        assert count % c.frames_multiple_of == 0
        restored = frames[:, c.lost_before : count - c.lost_after] + torch.tensor([0.1, 0, 0]).view(3, 1, 1)
        return restored if keep is None else restored[:, keep]


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize(("count", "height", "width"), [(1, 37, 50), (2, 64, 64), (5, 130, 41)])
def test_any_size_and_length_comes_back_as_it_went_in(name: str, count: int, height: int, width: int) -> None:
    convention = ARCHITECTURES[name].convention
    frames = texture(count, height, width).unsqueeze(0)
    restored = Restorer(Picky(convention), convention)(frames)
    assert restored.shape == frames.shape
    first = {"rgb": 0, "bgr": 2}[convention.channels]
    change = (restored - frames).mean((0, 1, 3, 4))
    torch.testing.assert_close(change, torch.nn.functional.one_hot(torch.tensor(first), 3) * 0.1, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("keep", [slice(0, 1), slice(2, 4), slice(None), slice(-1, None)])
def test_wanted_frames_are_the_ones_that_come(name: str, keep: slice) -> None:
    convention = ARCHITECTURES[name].convention
    frames = texture(5, 40, 40).unsqueeze(0)
    restored = Restorer(Picky(convention), convention)(frames, keep)
    torch.testing.assert_close(restored[:, :, 1], frames[:, keep, 1], atol=1e-6, rtol=0)


def test_a_selecting_network_computes_wanted_frames_only() -> None:
    network = Selecting()
    Restorer(network, Convention(selects_frames=True))(texture(6, 16, 16).unsqueeze(0), slice(2, 4))
    assert network.kept == [slice(2, 4)]
    assert network.shapes == [(1, 6, 3, 16, 16)]


def test_a_network_sees_its_own_colours_and_values() -> None:
    seen: list[Tensor] = []

    class Spy(nn.Module):
        def forward(self, frames: Tensor) -> Tensor:
            seen.append(frames)
            return frames

    red = torch.tensor([1.0, 0.0, 0.0]).view(1, 1, 3, 1, 1).expand(1, 1, 3, 8, 8)
    Restorer(Spy(), Convention(channels="bgr", offset=-0.5))(red)
    assert seen[0][0, 0, :, 0, 0].tolist() == [-0.5, -0.5, 0.5]


def test_lost_end_frames_are_mirrored() -> None:
    seen: list[list[float]] = []

    class Spy(nn.Module):
        def forward(self, frames: Tensor) -> Tensor:
            seen.append(frames[0, :, 0, 0, 0].tolist())
            return frames[:, 2:-2]

    frames = torch.arange(4.0).view(1, 4, 1, 1, 1).expand(1, 4, 3, 8, 8)
    Restorer(Spy(), Convention(lost_before=2, lost_after=2))(frames)
    assert seen == [[2, 1, 0, 1, 2, 3, 2, 1]]


@pytest.mark.parametrize("border", ["replicate", "symmetric", "reflect"])
def test_borders_wider_than_the_picture_and_their_gradient(border: str) -> None:
    frames = texture(1, 3, 5).unsqueeze(0).requires_grad_()
    network = Identity()
    restored = Restorer(network, Convention(min_size=16, border=border))(frames)  # type: ignore[arg-type]
    assert network.shapes == [(1, 1, 3, 16, 16)]
    restored.sum().backward()
    assert frames.grad is not None
    assert torch.equal(frames.grad, torch.ones_like(frames))


def test_results_are_not_clamped() -> None:
    frames = torch.full((1, 1, 3, 8, 8), 1.5)
    assert torch.equal(Restorer(Identity(), Convention())(frames), frames)


def test_asking_for_no_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Restorer(Identity(), Convention())(texture(3, 8, 8).unsqueeze(0), slice(2, 2))


def test_an_unknown_network_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageFault, match="lite, ifirnn, estrnn, basicvsrpp, rvrt"):
        architecture("light")
