"""ESTRNN, IFIRNN and BasicVSR++ as a restorer uses them: any size and length, gradients, half precision."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import torch
from parity import fill_by_rule, moving_pictures
from torch import Tensor, nn

from selfhvd_cli.nets.basicvsrpp import BasicVSRPlusPlus
from selfhvd_cli.nets.estrnn import ESTRNN
from selfhvd_cli.nets.ifirnn import IFIRNN
from selfhvd_cli.nets.spynet import SPyNet
from selfhvd_cli.restore.architectures import ARCHITECTURES
from selfhvd_cli.restore.restorer import Restorer

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "estrnn": ESTRNN,
    "ifirnn": IFIRNN,
    "basicvsrpp": BasicVSRPlusPlus,
}
NAMES = pytest.mark.parametrize("name", NETWORKS)


@cache
def network(name: str) -> nn.Module:
    """The network with drawn weights; tests leave them as they are."""
    constants = ("spynet.mean", "spynet.std")
    return fill_by_rule(NETWORKS[name](), gain=0.8, constant_keys=constants).requires_grad_(False)


def clip(count: int, height: int = 20, width: int = 24, seed: int = 5, batch: int = 1) -> Tensor:
    return moving_pictures((batch, count, 3, height, width), seed)


@NAMES
def test_class_is_the_one_the_registry_names(name: str) -> None:
    assert isinstance(ARCHITECTURES[name].build(), NETWORKS[name])


# BasicVSR++ works at 256 pixels and above behind its convention, so long clips would only cost time there.
@pytest.mark.parametrize(
    ("name", "count", "size"),
    [("estrnn", count, (17, 23)) for count in (1, 2, 5)]
    + [("ifirnn", count, (17, 23)) for count in (1, 2, 5)]
    + [("basicvsrpp", 1, (257, 23))],
)
def test_restorer_takes_any_length_and_odd_sizes(name: str, count: int, size: tuple[int, int]) -> None:
    convention = ARCHITECTURES[name].convention
    frames = clip(count, *size)
    with torch.no_grad():
        restored = Restorer(network(name), convention)(frames)
    assert restored.shape == frames.shape
    assert restored.isfinite().all()


@pytest.mark.parametrize(("name", "count"), [("ifirnn", 1), ("basicvsrpp", 1), ("basicvsrpp", 2), ("estrnn", 5)])
def test_shortest_clips(name: str, count: int) -> None:
    with torch.no_grad():
        restored = network(name)(clip(count))
    assert restored.shape[1] == (count - 4 if name == "estrnn" else count)


@NAMES
def test_wrong_sizes_are_refused_with_the_shape(name: str) -> None:
    with pytest.raises(ValueError, match="22"):
        network(name)(clip(5, 20, 22))


def test_estrnn_refuses_clips_without_output() -> None:
    with pytest.raises(ValueError, match="T >= 5"):
        network("estrnn")(clip(4))


@NAMES
def test_batch_entries_do_not_mix(name: str) -> None:
    frames = torch.cat((clip(5, seed=1), clip(5, seed=2)))
    with torch.no_grad():
        together = network(name)(frames)
        alone = network(name)(frames[1:])
    torch.testing.assert_close(together[1:], alone, rtol=0, atol=2e-5)


@NAMES
def test_nothing_is_remembered_between_calls(name: str) -> None:
    frames = clip(6)
    palindrome = torch.cat((frames[:, :3], frames[:, :3].flip(1)), dim=1)
    with torch.no_grad():
        before = network(name)(frames)
        network(name)(palindrome)
        after = network(name)(frames)
    assert torch.equal(before, after)


def test_which_frames_reach_which_outputs() -> None:
    frames = clip(7)
    changed = frames.clone()
    changed[:, 4] = changed[:, 4].flip(-1)
    moved = {}
    with torch.no_grad():
        for name in NETWORKS:
            difference = (network(name)(changed) - network(name)(frames)).abs().amax((0, 2, 3, 4))
            moved[name] = (difference > 1e-6).tolist()
    # Forward in time alone; the same with a reach of two frames (outputs belong to frames 2 to 4); both ways.
    assert moved["ifirnn"] == [False] * 4 + [True] * 3
    assert moved["estrnn"] == [True] * 3
    assert moved["basicvsrpp"] == [True] * 7
    changed = frames.clone()
    changed[:, 6] = changed[:, 6].flip(-1)
    with torch.no_grad():
        difference = (network("estrnn")(changed) - network("estrnn")(frames)).abs().amax((0, 2, 3, 4))
    assert (difference > 1e-6).tolist() == [False, False, True]


@NAMES
@pytest.mark.parametrize("checkpoint_activations", [False, True])
def test_gradient_reaches_every_parameter(name: str, checkpoint_activations: bool) -> None:
    module = NETWORKS[name](checkpoint_activations=checkpoint_activations)
    module.load_state_dict(network(name).state_dict())
    frames = clip(6, 16, 16).requires_grad_()
    module(frames).square().mean().backward()
    assert frames.grad is not None
    assert (frames.grad.abs().amax((0, 2, 3, 4)) > 0).all()
    untouched = [key for key, p in module.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert not untouched


@NAMES
def test_checkpointing_changes_no_gradient(name: str) -> None:
    gradients = []
    for checkpoint_activations in (False, True):
        module = NETWORKS[name](checkpoint_activations=checkpoint_activations)
        module.load_state_dict(network(name).state_dict())
        module(clip(5, 16, 16)).square().mean().backward()
        gradients.append({key: p.grad for key, p in module.named_parameters()})
    torch.testing.assert_close(gradients[0], gradients[1])


def test_checkpointing_keeps_fewer_activations() -> None:
    kept = []
    for checkpoint_activations in (False, True):
        module = IFIRNN(checkpoint_activations=checkpoint_activations)
        total = 0

        def note(tensor: Tensor) -> Tensor:
            nonlocal total
            total += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            module(clip(3, 16, 16))
        kept.append(total)
    assert kept[1] < kept[0] / 4


@NAMES
def test_bfloat16_stays_close_to_float32(name: str) -> None:
    frames = clip(6, 32, 40)
    with torch.no_grad():
        full = network(name)(frames)
        with torch.autocast("cpu", torch.bfloat16):
            half = network(name)(frames).float()
    span = full.max() - full.min()
    psnr = 10 * torch.log10(span**2 / (half - full).square().mean()).item()
    assert psnr >= 40


@NAMES
def test_channels_last_gives_the_same_numbers(name: str) -> None:
    module = NETWORKS[name]()
    module.load_state_dict(network(name).state_dict())
    module = module.eval().to(memory_format=torch.channels_last)
    frames = clip(5)
    with torch.no_grad():
        torch.testing.assert_close(module(frames), network(name)(frames), rtol=0, atol=2e-5)


def test_fresh_basicvsrpp_aligns_by_flow_alone() -> None:
    module = BasicVSRPlusPlus()
    offsets = [block.conv_offset[-1] for block in module.deform_align.values()]
    assert all(not layer.weight.any() and not layer.bias.any() for layer in offsets)
    with torch.no_grad():
        assert module(clip(3)).isfinite().all()


@pytest.mark.parametrize("wrapped", [True, False])
def test_spynet_reads_both_kinds_of_keys(wrapped: bool) -> None:
    keys = set(SPyNet(wrapped).state_dict())
    expected = "basic_module.5.basic_module.4.conv.weight" if wrapped else "basic_module.5.basic_module.8.weight"
    assert expected in keys
    assert len(keys) == 2 + 6 * 5 * 2


def test_spynet_gives_the_same_flow_under_both_kinds_of_keys() -> None:
    one, other = SPyNet(True), SPyNet(False)
    other.load_state_dict(dict(zip(other.state_dict(), one.state_dict().values(), strict=True)))
    first, second = clip(2, 33, 47)[0].unsqueeze(1)
    with torch.no_grad():
        torch.testing.assert_close(one(first, second), other(first, second), rtol=0, atol=0)
