"""Device, precision and memory format of a run: chosen once, said once, passed on."""

from __future__ import annotations

import os
import platform
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
import torch.nn.functional as F

from selfhvd_cli.allotment import processors
from selfhvd_cli.counting import counted
from selfhvd_cli.errors import EnvironmentFault, UsageFault

Precision = Literal["auto", "fp32", "bf16", "fp16"]

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

APPLE = torch.device("mps", 0)


@dataclass(frozen=True)
class Compute:
    """Where and in what precision networks run."""

    device: torch.device
    """With its number, as tensors on it have: a device without is equal to none of theirs."""

    dtype: torch.dtype
    """Autocast type of the convolutions; float32 means no autocast. Parameters stay float32."""

    reason: str
    """Why this device, in words for the first line of a run."""

    def autocast(self) -> AbstractContextManager[object]:
        """Context in which a network's forward runs in `dtype`."""
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    def __str__(self) -> str:
        names = {dtype: name for name, dtype in DTYPES.items()}
        return f"{self.device} ({names[self.dtype]}; {self.reason})"


def choose_compute(device: str = "auto", precision: Precision = "auto") -> Compute:
    """Resolve `--device` and `--precision`.

    `auto` takes CUDA, then MPS, if they work, else the CPU; its precision is fp16 on CUDA and MPS, bf16 on a CPU with
    native bfloat16 instructions, fp32 elsewhere.

    Raises:
        EnvironmentFault: the named device is not on this machine.
        UsageFault: the name is no device, or the precision does not exist there.
    """
    if precision != "auto" and precision not in DTYPES:
        raise UsageFault(f"--precision {precision}: choose one of auto, {', '.join(DTYPES)}.")
    _take_no_more_threads_than_processors()
    chosen, reason = _choose_device(device)
    if precision != "auto":
        if precision == "fp16" and chosen.type == "cpu":
            raise UsageFault("--precision fp16 needs a GPU, got the CPU; use --precision bf16 or fp32.")
        return Compute(chosen, DTYPES[precision], reason)
    if chosen.type == "cpu":
        return Compute(chosen, torch.bfloat16 if cpu_has_bfloat16() else torch.float32, reason)
    return Compute(chosen, torch.float16, reason)


def _take_no_more_threads_than_processors() -> None:
    """torch takes a thread for each processor it sees. Where a container gives it the time of fewer, those that run
    wait for those that may not."""
    allowed = processors()
    if "OMP_NUM_THREADS" not in os.environ and torch.get_num_threads() > allowed:
        torch.set_num_threads(allowed)


def _choose_device(name: str) -> tuple[torch.device, str]:
    if name == "auto":
        why = "no GPU found"
        if torch.cuda.is_available():
            cuda = torch.device("cuda", torch.cuda.current_device())
            refusal = _refusal(cuda)
            if refusal is None:
                return cuda, torch.cuda.get_device_name(cuda)
            why = f"the GPU does not work: {refusal}"
        if torch.backends.mps.is_available():
            refusal = _refusal(APPLE)
            if refusal is None:
                return APPLE, "Apple GPU"
            why = f"the GPU does not work: {refusal}"
        return torch.device("cpu"), f"{why}, {counted(torch.get_num_threads(), 'thread')}"
    try:
        chosen = torch.device(name)
    except RuntimeError:
        raise UsageFault(f"--device {name}: no such kind of device; use auto, cuda, cuda:N, mps or cpu.") from None
    if chosen.type == "cuda":
        if not torch.cuda.is_available():
            raise EnvironmentFault(_no_cuda_message(name))
        if (chosen.index or 0) >= torch.cuda.device_count():
            raise EnvironmentFault(
                f"--device {name}: this machine has {torch.cuda.device_count()} CUDA device(s), numbered from 0."
            )
        if chosen.index is None:
            chosen = torch.device("cuda", torch.cuda.current_device())
    if chosen.type == "mps":
        if not torch.backends.mps.is_available():
            raise EnvironmentFault(f"--device {name}: this torch has no Apple GPU support; use --device cpu.")
        chosen = APPLE
    if chosen.type not in ("cpu", "mps", "cuda"):
        raise UsageFault(f"--device {name}: not supported; use auto, cuda, cuda:N, mps or cpu.")
    if chosen.type != "cpu" and (refusal := _refusal(chosen)) is not None:
        raise EnvironmentFault(f"--device {name}: it does not work ({refusal}); use --device cpu.")
    return chosen, torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else "as asked"


def _refusal(gpu: torch.device) -> str | None:
    """Why a GPU that is there cannot compute; None if it can. This torch may have no code for it, or another program
    may hold all of it."""
    try:
        works = float((torch.ones(2, device=gpu) * 3).sum()) == 6.0
    except RuntimeError as fault:
        return str(fault).strip().splitlines()[0]
    if works and gpu.type == "mps" and not _knows_all(gpu):
        return f"torch {torch.__version__} lacks operations for Apple GPUs that 2.13 has"
    return None if works else "it adds wrongly"


def _knows_all(gpu: torch.device) -> bool:
    """Whether torch has the operations for a GPU that came to Apple's last."""
    try:
        picture = torch.ones(1, 1, 2, 2, device=gpu, requires_grad=True)
        moved = torch.zeros(1, 1, 1, 2, device=gpu)
        F.grid_sample(picture, moved, padding_mode="border", align_corners=True).sum().backward()
        torch.sinc(moved).flatten().kthvalue(1)
    except RuntimeError:  # NotImplementedError is one
        return False
    return True


def _no_cuda_message(name: str) -> str:
    if torch.version.cuda is None:
        remedy = (
            f"torch {torch.__version__} is a build without CUDA; "
            "pip install --force-reinstall torch torchvision --index-url https://download.pytorch.org/whl/cu128"
        )
    else:
        remedy = f"torch was built for CUDA {torch.version.cuda}, but no driver answers; check nvidia-smi"
    return f"--device {name}: no CUDA device found. {remedy}, or use --device cpu."


@cache
def cpu_has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 natively (else bf16 is emulated and slower than fp32)."""
    if platform.machine().lower() in ("arm64", "aarch64"):
        return False
    return _cpu_flag("avx512_bf16") or _cpu_flag("amx_bf16")


def _cpu_flag(flag: str) -> bool:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="ignore") as info:
            return any(flag in line.split() for line in info if line.startswith("flags"))
    except OSError:
        return False
