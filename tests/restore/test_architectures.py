"""Architectures: every row builds its network, which takes what its convention promises."""

from __future__ import annotations

import pytest
import torch
from restore_stand_ins import texture

from selfhvd_cli.restore.architectures import ARCHITECTURES


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_network_of_every_row_restores_an_odd_little_clip(name: str) -> None:
    torch.manual_seed(0)
    restorer = ARCHITECTURES[name].restorer().eval()
    frames = texture(2, 37, 50).unsqueeze(0)
    with torch.inference_mode():
        restored = restorer(frames, slice(1, 2))
    assert restored.shape == (1, 1, 3, 37, 50)
    assert torch.isfinite(restored).all()
