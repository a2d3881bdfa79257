"""Activation checkpointing: trade a second forward pass for the memory of the first one's activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch.utils.checkpoint import checkpoint

Result = TypeVar("Result")


def call(function: Callable[..., Result], *inputs: object, recompute: bool) -> Result:
    """`function(*inputs)`; with `recompute` its inner activations are dropped and made again for the gradient."""
    if recompute and torch.is_grad_enabled():
        return checkpoint(function, *inputs, use_reentrant=False)
    return function(*inputs)
