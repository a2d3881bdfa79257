"""FlowFormer++ keeps the pictures of a batch apart and says what it cannot take."""

from __future__ import annotations

import pytest
import torch
from parity import fill_by_rule

from selfhvd_cli.nets.flowformerpp import FlowFormerPP


@pytest.fixture(scope="module")
def network() -> FlowFormerPP:
    module = fill_by_rule(FlowFormerPP(), gain=0.5, constant_keys=["memory_decoder.att.pos_emb.rel_ind"])
    assert isinstance(module, FlowFormerPP)
    return module


def test_pictures_of_a_batch_do_not_meet(network: FlowFormerPP) -> None:
    images = torch.rand(4, 3, 64, 72, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        together, _ = network(images[:2], images[2:])
        alone = torch.cat([network(images[i : i + 1], images[i + 2 : i + 3])[0] for i in range(2)])
    assert together.shape == (2, 2, 64, 72)
    assert (together - alone).abs().max() < 1e-3
    assert (alone[0] - alone[1]).abs().max() > 1e-2


def test_rows_are_not_dropped_in_silence(network: FlowFormerPP) -> None:
    with pytest.raises(ValueError, match="8n"):
        network(torch.rand(1, 3, 70, 64), torch.rand(1, 3, 70, 64))
