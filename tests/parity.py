"""Compares our networks with golden numbers of the official ones: `python tests/parity.py FOLDER`.

A folder holds `suffix.txt` and, per network, `<name>.keys.json` (keys, shapes, constants, sums of |w|) and
`<name>.npz` with arrays `<case>.in.<what>` and `<case>.out.<what>`; in place of an input, `<case>.make.<what>` holds
seed, first frame, scale and shape of `moving_pictures`. No trained weight is involved: every weight is drawn from its
own key by `fill_by_rule`, so two writings of one network agree in every number or differ in a way that shows.

One line a network; the exit code is 1 when any key, shape, constant, sum or output misses.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import sys
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Network:
    """How one network is built, fed and compared."""

    build: Callable[[], nn.Module]
    """Makes the network as its authors configure it, with any weights."""

    run: Callable[[nn.Module, str, Tensors], Tensors]
    """(module, case, inputs by name) -> outputs by name, as the folder names them."""

    tolerance: Mapping[str, float]
    """Largest allowed absolute difference by output name; `case.output` goes before `output`."""

    gain: float = 0.8
    """Factor of the drawn weights; the deep networks neither fade nor overflow at it."""


def build_estrnn() -> nn.Module:
    from selfhvd_cli.nets.estrnn import ESTRNN

    return ESTRNN()


def build_ifirnn() -> nn.Module:
    from selfhvd_cli.nets.ifirnn import IFIRNN

    return IFIRNN()


def build_basicvsrpp() -> nn.Module:
    from selfhvd_cli.nets.basicvsrpp import BasicVSRPlusPlus

    return BasicVSRPlusPlus()


def build_raft_large() -> nn.Module:
    from torchvision.models.optical_flow import raft_large

    return raft_large(weights=None)


def run_centred(module: nn.Module, case: str, inputs: Tensors) -> Tensors:
    """Networks that read values around zero, (8-bit value - 127.5) / 255."""
    return {"out": module((inputs["frames"] * 255 - 127.5) / 255)}


def run_basicvsrpp(module: Any, case: str, inputs: Tensors) -> Tensors:
    frames = inputs["frames"]
    backward, forward = module.compute_flow(frames)
    return {"out": module(frames), "flows_backward": backward, "flows_forward": forward}


def build_searaft_medium() -> nn.Module:
    from selfhvd_cli.nets.searaft import MEDIUM, SeaRaft

    return SeaRaft(MEDIUM)


def build_searaft_small() -> nn.Module:
    from selfhvd_cli.nets.searaft import SMALL, SeaRaft

    return SeaRaft(SMALL)


def run_searaft(module: Any, case: str, inputs: Tensors) -> Tensors:
    """Raw pairs (a, b), the official half-scale evaluation (c), and the uncertainty function alone (h)."""
    from selfhvd_cli.flow.searaft import SeaRaftEstimator
    from selfhvd_cli.nets.searaft import mean_log_scale

    if case == "h":
        return {"heatmap": mean_log_scale(inputs["info"])}
    image1, image2 = inputs["image1"] / 255, inputs["image2"] / 255
    if case == "c":
        last = SeaRaftEstimator(module).predict(image1, image2)
        return {"flow": last.flow, "info": last.info, "heatmap": mean_log_scale(last.info)}
    first, *_, last = module.predictions(image1, image2)
    outputs = {"flow": last.flow, "info": last.info, "heatmap": mean_log_scale(last.info)}
    return outputs | {"flow_init": first.flow, "info_init": first.info}


def build_rvrt() -> nn.Module:
    from selfhvd_cli.nets.rvrt import RVRT

    return RVRT()


def run_rvrt(module: Any, case: str, inputs: Tensors) -> Tensors:
    """The bare module (a), any size (b), the official tiles (c), and the deformable attention alone (op)."""
    from selfhvd_cli.ops.deform_attention import deform_attention
    from selfhvd_cli.restore.architectures import ARCHITECTURES

    if case == "op":
        offset, clip = inputs["offset"], inputs["kv"].shape[1]
        query = inputs["q"].view(-1, clip, *inputs["q"].shape[2:])
        attended = deform_attention(query, inputs["kv"], offset.view(-1, clip, *offset.shape[1:]), heads=3, groups=6)
        return {"out": attended.reshape(inputs["q"].shape)}
    if case == "c":
        return {"out": official_tiles(module, inputs["frames"], (4, 136, 136), (2, 20, 20))}
    if case == "b":
        return {"out": ARCHITECTURES["rvrt"].restorer(module)(inputs["frames"])}
    backward, forward = module.compute_flow(inputs["frames"])
    return {"out": module(inputs["frames"]), "flows_backward": backward, "flows_forward": forward}


def official_tiles(
    module: nn.Module, frames: Tensor, tile: tuple[int, int, int], overlap: tuple[int, int, int]
) -> Tensor:
    """RVRT's own way with large clips: tiles (frames, rows, columns) flush with the end, averaged where they overlap.

    Inside the picture half of the overlap is dropped at each border of a tile; in time nothing is.
    """
    sizes = (frames.shape[1], *frames.shape[-2:])
    starts = [
        [*range(0, size - side, side - shared), size - side]
        for size, side, shared in zip(sizes, tile, overlap, strict=True)
    ]
    total, count = torch.zeros_like(frames), torch.zeros_like(frames)
    for first, top, left in itertools.product(*starts):
        part = module(frames[:, first : first + tile[0], :, top : top + tile[1], left : left + tile[2]])
        before = [0 if start == 0 else shared // 2 for start, shared in ((top, overlap[1]), (left, overlap[2]))]
        after = [
            side if start + side == size else side - shared // 2
            for start, side, size, shared in zip((top, left), tile[1:], sizes[1:], overlap[1:], strict=True)
        ]
        into = (
            slice(None),
            slice(first, first + tile[0]),
            slice(None),
            slice(top + before[0], top + after[0]),
            slice(left + before[1], left + after[1]),
        )
        total[into] += part[..., before[0] : after[0], before[1] : after[1]]
        count[into] += 1
    return total / count


def build_flowformerpp() -> nn.Module:
    from selfhvd_cli.nets.flowformerpp import FlowFormerPP

    return FlowFormerPP()


def run_flowformerpp(module: Any, case: str, inputs: Tensors) -> Tensors:
    """Raw pairs (a) and sizes that need padding (b)."""
    from selfhvd_cli.flow.flowformerpp import FlowFormerPPEstimator

    image1, image2 = inputs["image1"] / 255, inputs["image2"] / 255
    if case == "b":
        return {"flow": FlowFormerPPEstimator(module)(image1, image2).vectors}
    flow, low = module(image1, image2)
    return {"flow": flow, "flow_low": low}


def run_nothing(module: nn.Module, case: str, inputs: Tensors) -> Tensors:
    """Networks of which a folder gives keys alone."""
    return {}


NETWORKS: Mapping[str, Network] = {
    "estrnn": Network(build_estrnn, run_centred, {"out": 2e-5}),
    "ifirnn": Network(build_ifirnn, run_centred, {"out": 2e-5}),
    "basicvsrpp_deblur": Network(
        build_basicvsrpp, run_basicvsrpp, {"out": 2e-5, "flows_forward": 2e-5, "flows_backward": 2e-5}
    ),
    "rvrt_deblur": Network(build_rvrt, run_rvrt, {"out": 2e-5, "flows_forward": 2e-5, "flows_backward": 2e-5}),
    "flowformerpp": Network(build_flowformerpp, run_flowformerpp, {"flow": 2e-4, "flow_low": 4e-5}, gain=0.5),
    "sea_raft_spring_m": Network(
        build_searaft_medium,
        run_searaft,
        {"flow": 1e-4, "flow_init": 1e-4, "info": 5e-6, "info_init": 5e-6, "heatmap": 5e-6, "h.heatmap": 1e-5},
    ),
    "sea_raft_spring_s": Network(
        build_searaft_small,
        run_searaft,
        {"flow": 5e-5, "flow_init": 5e-5, "info": 2e-6, "info_init": 2e-6, "heatmap": 2e-6, "h.heatmap": 1e-5},
    ),
    "raft_large": Network(build_raft_large, run_nothing, {}),
}
"""Every network that has golden numbers, under the name of its files."""


def drawn(key: str, shape: torch.Size, suffix: str, gain: float) -> Tensor:
    """The weight that the rule gives to `key`: seeded by its own name, scaled by its fan-in."""
    generator = torch.Generator().manual_seed(zlib.crc32((key + suffix).encode()))
    noise = torch.randn(shape, generator=generator, dtype=torch.float32)
    if noise.dim() >= 2:
        return noise * gain / (noise.numel() / shape[0]) ** 0.5
    if key.endswith("running_var"):
        return (1 + 0.1 * noise).abs()
    return 1 + 0.1 * noise if key.endswith("weight") else 0.05 * noise


def fill_by_rule(
    module: nn.Module,
    suffix: str = "",
    gain: float = 0.8,
    constant_keys: Collection[str] = (),
    alias_groups: Iterable[Collection[str]] = (),
) -> nn.Module:
    """Give every key of `module` but the constant ones its drawn value; returns the module in eval mode.

    Keys of one alias group name the same storage and take the value of the group's last key in sorted order.
    """
    source = {key: max(group) for group in alias_groups for key in group}
    state = {
        key: tensor if key in constant_keys else drawn(source.get(key, key), tensor.shape, suffix, gain)
        for key, tensor in module.state_dict().items()
    }
    module.load_state_dict(state, strict=True)
    return module.eval()


@dataclass
class Report:
    """What the comparison of one network found."""

    name: str
    keys: int = 0
    cases: int = 0
    misses: list[str] = field(default_factory=list)
    """Each difference in words; empty when the network is the official one."""

    worst: float = 0.0
    """Largest difference of an output as a share of its tolerance."""

    where: str = ""
    """Case, output and absolute difference of that largest share."""

    seconds: float = 0.0

    def __str__(self) -> str:
        state = "MISS" if self.misses else "ok  "
        text = f"{state} {self.name:<18} {self.keys:>3} keys, {self.cases} cases, {self.seconds:6.1f} s"
        text += f", worst {self.where}" if self.where else ", keys and shapes only"
        return (
            text
            + "".join(f"; {miss}" for miss in self.misses[:3])
            + (f"; and {len(self.misses) - 3} more" if len(self.misses) > 3 else "")
        )


def compare_state(module: nn.Module, facts: Mapping[str, Any]) -> list[str]:
    """Differences in keys, shapes, types, constants and, where given, sums of |w|."""
    state = module.state_dict()
    expected: Mapping[str, Any] = facts["keys"]
    misses = [f"missing key {key}" for key in expected if key not in state]
    misses += [f"key {key} is not the official module's" for key in state if key not in expected]
    for key in expected.keys() & state.keys():
        shape, dtype = expected[key]
        tensor = state[key]
        if list(tensor.shape) != shape or str(tensor.dtype) != f"torch.{dtype}":
            misses.append(f"{key} is {list(tensor.shape)} {tensor.dtype}, not {shape} {dtype}")
        crc = facts.get("constant_crc32", {}).get(key)
        if crc is not None and zlib.crc32(tensor.contiguous().numpy().tobytes()) != crc:
            misses.append(f"constant {key} has other values")
        total = facts.get("abs_sum", {}).get(key)
        # Sums are written with 7 digits, and randn's code paths differ in the last bit.
        if total is not None and abs(tensor.double().abs().sum().item() - total) > 2e-6 * abs(total) + 1e-12:
            misses.append(f"sum of |{key}| is {tensor.double().abs().sum().item():.7g}, not {total:.7g}")
    return misses


def stored_parts(output: Tensor, part: str) -> Tensor:
    """The piece of `output` that a stored array holds: whole, every n-th pixel, or a corner of n pixels."""
    match = re.fullmatch(r"(s|tl|br|shape)(\d*)", part)
    if match is None:
        return output
    kind, n = match[1], int(match[2] or 0)
    if kind == "shape":
        return torch.tensor(output.shape)
    if kind == "s":
        return output[..., ::n, ::n]
    return output[..., :n, :n] if kind == "tl" else output[..., -n:, -n:]


def cases_of(arrays: Mapping[str, np.ndarray]) -> dict[str, tuple[Tensors, Tensors]]:
    """case -> (inputs, stored outputs) of the arrays of one `.npz`."""
    cases: dict[str, tuple[Tensors, Tensors]] = {}
    for name in arrays:
        case, direction, what = name.split(".", 2)
        inputs, outputs = cases.setdefault(case, ({}, {}))
        if direction == "make":
            seed, first, scale, *shape = arrays[name].tolist()
            inputs[what] = moving_pictures(shape, seed, first) * scale
        else:
            (inputs if direction == "in" else outputs)[what] = torch.from_numpy(arrays[name])
    return cases


def moving_pictures(shape: Sequence[int], seed: int, first: int = 0) -> Tensor:
    """Frames `first`, `first + 1`, ... `[..., 3, H, W]` of a soft texture that moves (3, 2) px a frame.

    In [0, 1], multiples of 1/256; made with integers alone, so that every machine makes the same and no file need
    hold them.
    """
    *leading, channels, height, width = shape
    last = first + int(np.prod(leading, dtype=np.int64))
    reach = 64
    texture = np.random.RandomState(seed).randint(0, 256, (channels, height + reach, width + reach))
    for axis in (1, 2, 1, 2):
        texture = sum(np.roll(texture, shift, axis) for shift in range(5)) // 5
    texture = np.clip((texture - 128) * 4 + 128, 0, 255)
    frames = [np.roll(texture, (-2 * t, -3 * t), (1, 2))[:, :height, :width] for t in range(first, last)]
    return torch.from_numpy(np.stack(frames).reshape(shape).astype(np.float32) / 256)


def check(name: str, folder: Path, cases: Collection[str] | None = None) -> Report:
    """Compare network `name` with the numbers in `folder`; `cases` limits which of them are run."""
    report, start = Report(name), time.perf_counter()
    row = NETWORKS.get(name)
    if row is None:
        report.misses.append("we have no such network")
        return report
    facts = json.loads((folder / f"{name}.keys.json").read_text(encoding="utf-8"))
    suffix = (folder / "suffix.txt").read_text(encoding="utf-8")
    module = row.build()
    report.keys = len(module.state_dict())
    fill_by_rule(module, suffix, row.gain, facts["constant_keys"], facts["alias_groups"])
    report.misses += compare_state(module, facts)
    numbers = folder / f"{name}.npz"
    if not report.misses and numbers.exists():
        with np.load(numbers) as arrays:
            for case, (inputs, expected) in cases_of(arrays).items():
                if cases is None or case in cases:
                    compare_case(report, row, module, case, inputs, expected)
    report.seconds = time.perf_counter() - start
    return report


def compare_case(
    report: Report, row: Network, module: nn.Module, case: str, inputs: Tensors, expected: Tensors
) -> None:
    """Run one case and note in `report` how far every stored output is from ours."""
    with torch.no_grad():
        outputs = row.run(module, case, inputs)
    report.cases += 1
    for stored, golden in expected.items():
        what, _, part = stored.partition("__")
        if what not in outputs:
            report.misses.append(f"{case}.{what} is not among the outputs")
            continue
        ours = stored_parts(outputs[what], part)
        if ours.shape != golden.shape:
            report.misses.append(f"{case}.{stored} is {tuple(ours.shape)}, not {tuple(golden.shape)}")
            continue
        if part == "shape":
            if not torch.equal(ours, golden):
                report.misses.append(f"{case}.{what} is {ours.tolist()}, not {golden.tolist()}")
            continue
        allowed = row.tolerance.get(f"{case}.{what}", row.tolerance.get(what, 0.0))
        difference = (ours.double() - golden.double()).abs().max().item()
        # Written so that NaN counts as a miss.
        if not difference <= allowed:
            report.misses.append(f"{case}.{stored} is off by {difference:.2g}, allowed {allowed:.0e}")
        share = difference / allowed if allowed else float("inf")
        if not report.where or share > report.worst:
            report.worst = share
            report.where = f"{difference:.1e} of {allowed:.0e} ({case}.{what})"


def networks_in(folder: Path) -> list[str]:
    """Names of the networks that `folder` has keys of."""
    return sorted(path.name.removesuffix(".keys.json") for path in folder.glob("*.keys.json"))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="suffix.txt, NAME.keys.json and NAME.npz of each network")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these networks of the folder")
    chosen = parser.parse_args(arguments)
    names = networks_in(chosen.folder)
    if not names or not (chosen.folder / "suffix.txt").is_file():
        parser.error(f"{chosen.folder} has no suffix.txt and NAME.keys.json files")
    unknown = set(chosen.only or ()) - set(names)
    if unknown:
        parser.error(f"{chosen.folder} has no {', '.join(sorted(unknown))}; it has {', '.join(names)}")
    missed = 0
    for name in chosen.only or names:
        try:
            report = check(name, chosen.folder)
        except Exception as error:  # one broken network must not hide the state of the others
            report = Report(name, misses=[f"{type(error).__name__}: {error}"])
        missed += bool(report.misses)
        print(report, flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
