"""RVRT takes any clip through its convention, keeps nothing between calls and can be trained."""

from __future__ import annotations

import pytest
import torch
from parity import fill_by_rule

from selfhvd_cli.nets.rvrt import RVRT
from selfhvd_cli.nets.rvrt.network import flows_between_clips
from selfhvd_cli.restore.architectures import ARCHITECTURES


@pytest.fixture(scope="module")
def network() -> RVRT:
    module = fill_by_rule(RVRT(), constant_keys=[k for k in RVRT().state_dict() if "index" in k or "spynet.m" in k])
    assert isinstance(module, RVRT)
    return module


def clip(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(1, count, 3, height, width, generator=torch.Generator().manual_seed(seed))


def test_any_length_and_size_through_the_convention(network: RVRT) -> None:
    frames = clip(1, 37, 50)
    with torch.no_grad():
        restored = ARCHITECTURES["rvrt"].restorer(network)(frames)
    assert restored.shape == frames.shape
    assert restored.isfinite().all()


@pytest.mark.parametrize("shape", [(3, 32, 32), (2, 30, 32), (2, 32, 34)])
def test_what_the_official_module_spoils_silently_is_refused(network: RVRT, shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="4n"):
        network(clip(*shape))


def test_a_palindromic_clip_leaves_no_trace(network: RVRT) -> None:
    frames = clip(4, 32, 40)
    palindrome = torch.cat((frames[:, :2], frames[:, :2].flip(1)), dim=1)
    with torch.no_grad():
        before = network(frames)
        network(palindrome)
        assert torch.equal(network(frames), before)


def test_the_last_frame_reaches_the_first(network: RVRT) -> None:
    frames = clip(4, 32, 32)
    changed = frames.clone()
    changed[:, -1] = 1 - changed[:, -1]
    with torch.no_grad():
        difference = (network(frames)[:, 0] - network(changed)[:, 0]).abs().max()
    assert difference > 1e-4


def test_recomputing_gives_the_same_gradients(network: RVRT) -> None:
    gradients = []
    for recompute in (False, True):
        network.checkpoint_activations = recompute
        network.zero_grad()
        network(clip(4, 32, 32)).square().mean().backward()
        gradients.append({name: parameter.grad.clone() for name, parameter in network.named_parameters()})
    network.checkpoint_activations = False
    assert all(gradient.abs().max() > 0 for gradient in gradients[0].values())
    for name, gradient in gradients[0].items():
        assert torch.allclose(gradient, gradients[1][name], rtol=1e-3, atol=1e-7), name


def test_half_precision_stays_near(network: RVRT) -> None:
    frames = clip(2, 32, 32)
    with torch.no_grad():
        exact = network(frames) - frames
        with torch.autocast("cpu", dtype=torch.bfloat16):
            near = network(frames).float() - frames
    assert (near - exact).abs().mean() < 0.03 * exact.abs().mean()


def test_flows_chain_across_clips() -> None:
    # Everything moves (2, 1) px a frame: over k frames the flow is k times that.
    flows = torch.tensor([2.0, 1.0]).view(1, 1, 2, 1, 1).expand(1, 5, 2, 12, 12)
    pairs = flows_between_clips(flows)
    assert len(pairs) == 2
    for same, other in pairs:
        middle = (..., slice(0, 4), slice(0, 4))
        steps = torch.stack((same[middle][0, :, 0, 0, 0], other[middle][0, :, 0, 0, 0])) / 2
        assert torch.allclose(steps, torch.tensor([[2.0, 2.0], [1.0, 3.0]]))
