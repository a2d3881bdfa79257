"""Precision: whether a network's picture survives half precision, and a GPU, on this machine; tried once, remembered.

What a CPU computes in float32 is taken for the truth. Drivers and young backends have computed nonsense without a
word; a GPU that does is found before it spoils a clip.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import platformdirs
import torch
import torch.nn.functional as F
from torch import Tensor

from selfhvd_cli.device import Compute, choose_compute
from selfhvd_cli.errors import EnvironmentFault, SelfHVDError, means_out_of_memory
from selfhvd_cli.ops.stencil import smooth
from selfhvd_cli.restore.guard import guard
from selfhvd_cli.restore.load import Loaded, load_restorer
from selfhvd_cli.restore.moving_picture import moving_picture
from selfhvd_cli.weights.store import resolve

LEAST_PSNR = 50.0
"""In dB between the outputs in half precision and in float32: a deviation of 0.8 of 255 code values."""

PROBE_SIDE = 96
"""Side of the pictures that are tried, where the network takes such small ones."""

PROBE_FRAMES = 3

LARGE_SIDE, LONG_BLUR = 512, 41
"""Side of larger pictures that are tried on a GPU, and the length of their blur, in pixels."""


@dataclass(frozen=True)
class SelfTest:
    """How far a network's picture, and what the guard makes of one, are from those of a CPU in float32."""

    psnr: float
    """In dB, the lesser; not finite where the output is not, or where both are equal."""

    passed: bool
    """Whether that is near enough."""

    fault: str = ""
    """What the device said where it could not compute it."""

    def __str__(self) -> str:
        if self.fault:
            return f"it fails: {self.fault}"
        if self.psnr == -math.inf:
            return "it computes no numbers"
        return f"it computes wrongly, {self.psnr:.0f} dB from what a CPU computes"


def settle_precision(loaded: Loaded, compute: Compute, asked: str = "auto") -> Compute:
    """`compute`, or the same in float32 where the network's own picture suffers from half precision, or a CPU where a
    GPU computes something else altogether.

    The result is remembered in the user's cache by machine, torch, network and weights, where that can be written.

    Args:
        loaded: on `compute.device`; moved where the answer is another device.
        compute: as chosen for the machine, its precision not as the user asked.
        asked: the device that the user named, or `auto`.

    Raises:
        EnvironmentFault: a GPU that was asked for computes wrongly.
    """
    exact = replace(compute, dtype=torch.float32)
    if compute.dtype not in loaded.architecture.precisions:
        compute = exact
    on_cpu = compute.device.type == "cpu"
    if (compute == exact and on_cpu) or _remembered(loaded, compute).passed:
        return compute
    if on_cpu:
        return exact
    proven = _proven(loaded, exact, asked)
    if proven == exact:
        return exact
    loaded.restorer.to(proven.device)
    return settle_precision(loaded, proven)


def check_device(loaded: Loaded, compute: Compute, asked: str) -> None:
    """Whatever the precision: refuse a GPU that even in float32 computes something else than a CPU.

    Raises:
        EnvironmentFault: it does.
    """
    if compute.device.type == "cpu":
        return
    test = _remembered(loaded, replace(compute, dtype=torch.float32))
    if not test.passed:
        raise _untrusted(asked, test)


def trusted(compute: Compute, asked: str) -> Compute:
    """`compute` for a training, where its device computes what a CPU does of `lite` and the guard; else a CPU.

    Args:
        asked: the device that the user named, or `auto`.

    Raises:
        EnvironmentFault: a GPU that was asked for computes wrongly.
    """
    if compute.device.type == "cpu":
        return compute
    exact = replace(compute, dtype=torch.float32)
    proven = _proven(_embedded(compute.device), exact, asked)
    return compute if proven == exact else proven


def _proven(loaded: Loaded, exact: Compute, asked: str) -> Compute:
    """A GPU in float32 where it computes what a CPU does, else a CPU, or a fault where the GPU was asked for."""
    test = _remembered(loaded, exact)
    if test.passed:
        return exact
    if asked != "auto":
        raise _untrusted(asked, test)
    return replace(choose_compute("cpu"), reason=f"the GPU does not work: {test}")


def _embedded(device: torch.device) -> Loaded:
    return load_restorer("lite", "lite", resolve("lite", offline=True), device)


def _untrusted(asked: str, test: SelfTest) -> EnvironmentFault:
    return EnvironmentFault(f"--device {asked}: {test}; update torch or the driver, or use --device cpu.")


def try_precision(loaded: Loaded, compute: Compute) -> SelfTest:
    """Run the network on a small soft moving picture as `compute` says and on a CPU in float32, and compare; where
    `compute` is no CPU, do the same on a blurred one that is restored at several sizes, and with the guard."""
    restorer, device = loaded.restorer, compute.device
    side = max(PROBE_SIDE, loaded.architecture.convention.min_size)
    probes = [(moving_picture(PROBE_FRAMES, side, side), slice(None))]
    if device.type != "cpu" and loaded.architecture.convention.remembers_frames:
        probes.append((_blurred_in_the_middle(), slice(1, 2)))
    # Moved outside of inference mode, which would leave its mark on the parameters.
    restorer.to("cpu")
    try:
        with torch.inference_mode():
            expected = [restorer(frames.unsqueeze(0), keep) for frames, keep in probes]
    finally:
        restorer.to(device)
    try:
        with torch.inference_mode(), compute.autocast():
            got = [restorer(frames.unsqueeze(0).to(device), keep).cpu() for frames, keep in probes]
        pairs = list(zip(got, expected, strict=True))
        if device.type != "cpu":
            frame = probes[0][0][0]
            crisp = (2.0 * frame - smooth(frame.unsqueeze(0))[0]).clamp_(0.0, 1.0)
            pairs.append((guard(frame.to(device), crisp.to(device))[0].cpu(), guard(frame, crisp)[0]))
    except RuntimeError as fault:
        if device.type == "cpu" or means_out_of_memory(fault):
            raise
        # A young backend lacks an operation, or a library is missing or too new for this GPU.
        return SelfTest(-math.inf, False, str(fault).strip().splitlines()[0])
    psnr = min(_psnr(*pair) for pair in pairs)
    return SelfTest(psnr, psnr >= LEAST_PSNR)


def _blurred_in_the_middle() -> Tensor:
    """Three frames, the second so blurred that `lite` restores it at half its size first. Its doubt is far from all
    its limits, so that rounding does not send it another way: bfloat16 gives a result 69 dB from that of float32."""
    frames = moving_picture(PROBE_FRAMES, LARGE_SIDE, LARGE_SIDE)
    margins = F.pad(frames[1:2], (LONG_BLUR // 2, LONG_BLUR // 2, 0, 0), mode="replicate")
    frames[1] = F.avg_pool2d(margins, (1, LONG_BLUR), 1)[0]
    return frames


def beside_a_cpu(compute: Compute) -> Iterator[str]:
    """How near `lite` and the guard come to a CPU in float32, in words: as `compute` says, and in float32."""
    for dtype in dict.fromkeys((compute.dtype, torch.float32)):
        name = f"{compute.device} in {str(dtype).removeprefix('torch.')}"
        if dtype == torch.float32 and compute.device.type == "cpu":
            yield f"{name}: the measure of the others"
            continue
        try:
            test = try_precision(_embedded(compute.device), replace(compute, dtype=dtype))
            yield f"{name}: {test.psnr:.0f} dB ({LEAST_PSNR:.0f} are enough)"
        except (SelfHVDError, RuntimeError) as fault:
            yield f"{name}: {str(fault).strip().splitlines()[0]}"


def _psnr(got: Tensor, expected: Tensor) -> float:
    error = (got.float() - expected.float()).square().mean().item()
    if not math.isfinite(error):
        return -math.inf
    return math.inf if error == 0 else -10.0 * math.log10(error)


def _remembered(loaded: Loaded, compute: Compute) -> SelfTest:
    """The test of an earlier run, else a new one."""
    place = _folder() / f"{_key(loaded, compute)}.json"
    test = _read(place)
    if test is None:
        test = try_precision(loaded, compute)
        if not test.fault:  # it may be mended by tomorrow
            _write(place, test)
    return test


def _folder() -> Path:
    """SELFHVD_CACHE_DIR, else the user's cache folder."""
    chosen = os.environ.get("SELFHVD_CACHE_DIR")
    return (Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("selfhvd", False)) / "precision"


def _key(loaded: Loaded, compute: Compute) -> str:
    machine = torch.cuda.get_device_name(compute.device) if compute.device.type == "cuda" else _processor()
    facts = (compute.device.type, machine, torch.__version__, loaded.model, loaded.sha256, str(compute.dtype))
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
