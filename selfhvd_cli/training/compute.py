"""Device and precision of a training."""

from __future__ import annotations

from dataclasses import replace

import torch

from selfhvd_cli.device import Compute, Precision, choose_compute
from selfhvd_cli.errors import UsageFault
from selfhvd_cli.restore.precision import trusted


def training_compute(device: str, precision: Precision) -> Compute:
    """As `choose_compute`, but never in fp16, which is for running networks: small gradients vanish in it.

    Where `auto` would take it, bf16 is taken if the GPU has it, else fp32.

    Raises:
        UsageFault: fp16 was asked for.
        EnvironmentFault: the device that was asked for is not here, or computes wrongly.
    """
    refuse_fp16(precision)
    compute = trusted(choose_compute(device, precision), device)
    if compute.dtype == torch.float16:
        able = compute.device.type == "cuda" and torch.cuda.is_bf16_supported()
        compute = replace(compute, dtype=torch.bfloat16 if able else torch.float32)
    return compute


def refuse_fp16(precision: Precision) -> None:
    """Raises: UsageFault for fp16."""
    if precision == "fp16":
        raise UsageFault("--precision fp16: small gradients vanish in it; train in bf16 or fp32.")
