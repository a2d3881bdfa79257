"""Weights held in half precision give the pictures that autocast gives, and leave the exact ones alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from selfhvd_cli.device import Compute
from selfhvd_cli.restore.architectures import ARCHITECTURES
from selfhvd_cli.restore.arrange import in_precision
from selfhvd_cli.restore.load import fresh_restorer
from selfhvd_cli.restore.moving_picture import moving_picture

HALF = Compute(torch.device("cpu"), torch.bfloat16, "a test")


@pytest.mark.parametrize("model", [name for name, row in ARCHITECTURES.items() if torch.bfloat16 in row.precisions])
def test_weights_in_half_precision_give_the_picture_of_autocast(model: str) -> None:
    torch.manual_seed(0)
    restorer = fresh_restorer(model, HALF.device).restorer
    # Smaller than some were trained on, and padded to: every layer is there all the same, and it takes seconds.
    restorer.convention = replace(restorer.convention, min_size=1)
    frames = moving_picture(2, 64, 64).unsqueeze(0)
    weights = {name: value.clone() for name, value in restorer.state_dict().items()}
    with torch.inference_mode(), HALF.autocast():
        expected = restorer(frames)
        got = in_precision(restorer, HALF.dtype)(frames)
    assert torch.equal(got, expected)
    assert all(torch.equal(value, weights[name]) for name, value in restorer.state_dict().items())


def test_nothing_is_copied_for_float32() -> None:
    restorer = fresh_restorer("lite", HALF.device).restorer
    assert in_precision(restorer, torch.float32) is restorer
