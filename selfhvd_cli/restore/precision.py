"""Precision: whether a network's picture survives half precision on this machine, tried once and remembered."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import platformdirs
import torch

from selfhvd_cli.device import Compute
from selfhvd_cli.restore.load import Loaded
from selfhvd_cli.restore.moving_picture import moving_picture

LEAST_PSNR = 50.0
"""In dB between the outputs in half precision and in float32: a deviation of 0.8 of 255 code values."""

PROBE_SIDE = 96
"""Side of the pictures that are tried, where the network takes such small ones."""

PROBE_FRAMES = 3


@dataclass(frozen=True)
class SelfTest:
    """How far a network's picture in half precision is from that in float32."""

    psnr: float
    """In dB; not finite where the output is not, or where both are equal."""

    passed: bool
    """Whether that is near enough."""


def settle_precision(loaded: Loaded, compute: Compute) -> Compute:
    """`compute`, or the same in float32 where the network's own picture suffers from half precision.

    The result is remembered in the user's cache by machine, torch, network and weights, where that can be written.

    Args:
        compute: as chosen for the machine, not as the user asked.
    """
    if compute.dtype == torch.float32:
        return compute
    if compute.dtype not in loaded.architecture.precisions:
        return replace(compute, dtype=torch.float32)
    remembered = _folder() / f"{_key(loaded, compute)}.json"
    test = _read(remembered)
    if test is None:
        test = try_precision(loaded, compute)
        _write(remembered, test)
    return compute if test.passed else replace(compute, dtype=torch.float32)


def try_precision(loaded: Loaded, compute: Compute) -> SelfTest:
    """Run the network on a small soft moving picture in float32 and in `compute.dtype`, and compare."""
    side = max(PROBE_SIDE, loaded.architecture.convention.min_size)
    frames = moving_picture(PROBE_FRAMES, side, side).unsqueeze(0).to(compute.device)
    with torch.inference_mode():
        expected = loaded.restorer(frames)
        with compute.autocast():
            got = loaded.restorer(frames)
    error = (got.float() - expected.float()).square().mean().item()
    if not math.isfinite(error):
        return SelfTest(-math.inf, False)
    psnr = math.inf if error == 0 else -10.0 * math.log10(error)
    return SelfTest(psnr, psnr >= LEAST_PSNR)


def _folder() -> Path:
    """SELFHVD_CACHE_DIR, else the user's cache folder."""
    chosen = os.environ.get("SELFHVD_CACHE_DIR")
    return (Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("selfhvd", False)) / "precision"


def _key(loaded: Loaded, compute: Compute) -> str:
    machine = torch.cuda.get_device_name(compute.device) if compute.device.type == "cuda" else _processor()
    facts = (machine, torch.__version__, loaded.model, loaded.sha256, str(compute.dtype))
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32]


def _processor() -> str:
    """What tells one processor's arithmetic from another's: its kind and the instructions torch uses on it."""
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()} {torch.backends.mkldnn.is_available()}"


def _read(path: Path) -> SelfTest | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return SelfTest(float(values["psnr"]), bool(values["passed"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, test: SelfTest) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps({"psnr": test.psnr, "passed": test.passed}), encoding="utf-8")
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink()
