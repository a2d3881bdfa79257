"""How much faster the networks run than written plainly: `python tests/benchmarks/speed.py networks [NAME ...]`.

Plain is float32 in contiguous layout with the operators as the official code has them; ours is what `deblur` runs
on this machine. Both get the same weights, drawn by the rule of `parity.py`, and the same moving pictures, in turns.
Times are processor seconds, which other work on the machine disturbs least; the PSNR is between the two outputs.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

import parity

from selfhvd_cli.device import Compute, choose_compute
from selfhvd_cli.nets.estrnn import Fusion
from selfhvd_cli.nets.ifirnn import IFIRNN
from selfhvd_cli.nets.rvrt.attention import HIDDEN, SHIFT, SIDE, AttentionLayer, WindowAttention
from selfhvd_cli.nets.rvrt.attention import _from_windows as from_windows
from selfhvd_cli.nets.rvrt.attention import _windows as to_windows
from selfhvd_cli.restore.architectures import ARCHITECTURES
from selfhvd_cli.restore.arrange import arrange
from selfhvd_cli.restore.restorer import Restorer

FRAMES = 4
"""Of the clip that is timed, unless told otherwise."""


@dataclass(frozen=True)
class Ratio:
    """The row of one network."""

    network: str
    size: str
    frames: int
    plain_seconds: float
    """Processor seconds a frame, written plainly."""

    same_seconds: float
    """The same of our code in float32 and contiguous layout: what is left is layout and precision."""

    our_seconds: float
    times_faster: float
    """Than plain."""

    psnr: float
    """Between plain and ours, in dB."""

    precision: str
    """Of ours."""


# ---- the plain forms --------------------------------------------------------------------------------------


def plain_deform_conv(images: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """torchvision's operator, as the official BasicVSR++ uses mmcv's."""
    from torchvision.ops import deform_conv2d

    return deform_conv2d(images, offset, weight, bias, padding=weight.shape[-1] // 2, mask=mask)


def plain_ifirnn_frame(network: IFIRNN, frame: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Every iteration extracts the frame's features and draws a picture; the last one counts."""
    first, second = network.rnncell0, network.rnncell1
    state = first.F_h(first.mix(first.F_B(frame), state))
    picture = frame
    for _ in range(network.iterations):
        features = second.mix(second.F_B(frame), state)
        state = second.F_h(features)
        picture = second.F_L(features)
    return picture, state


def plain_fusion(fusion: Fusion, centre: Tensor, neighbours: list[Tensor]) -> Tensor:
    """Both convolutions of `F_p`, one after the other."""
    gathered = []
    for neighbour in neighbours:
        pair = torch.cat((centre, neighbour), dim=1)
        weight = fusion.F_f(pair.mean((2, 3)))[:, :, None, None]
        gathered.append(fusion.condense(weight * fusion.F_p(pair)))
    return fusion.fusion(torch.cat((*gathered, centre), dim=1))


def plain_window_attention(attention: WindowAttention, windows: Tensor, bias: Tensor) -> Tensor:
    """The matrix of logits stored; `bias` `[1, heads, N, N]` or, with masks, `[W, heads, N, N]`."""
    query, key, value = attention.qkv_self(windows).unflatten(-1, (3, attention.heads, -1)).permute(2, 0, 3, 1, 4)
    logits = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1) + bias
    return attention.proj((logits.softmax(-1) @ value).transpose(1, 2).flatten(2))


def plain_attend(layer: AttentionLayer, x: Tensor) -> Tensor:
    """A mask of its own for every window, as the official code has them."""
    batch, count, height, width, _ = x.shape
    x = F.pad(x, (0, 0, 0, -width % SIDE, 0, -height % SIDE))
    shifts = tuple(SHIFT if layer.shifted and size > SIDE else 0 for size in (height, width))
    x = x.roll((-shifts[0], -shifts[1]), (2, 3))
    grid = to_windows(x, layer.frames)
    bias = layer.attn.bias()
    if any(shifts):
        bias = bias + _masks(x, layer.frames, shifts, len(grid))
    grid = plain_window_attention(layer.attn, grid.flatten(0, 2), bias).view_as(grid)
    x = from_windows(grid, batch, layer.frames).roll(shifts, (2, 3))
    return x[:, :count, :height, :width]


def _masks(x: Tensor, frames: int, shifts: tuple[int, ...], repeats: int) -> Tensor:
    """`[W, 1, N, N]`: what each window of the rolled picture must not see."""
    region = torch.zeros(1, frames, *x.shape[2:4], 1)
    for axis, shift in zip((2, 3), shifts, strict=True):
        size = x.shape[axis]
        for number, start in enumerate((size - SIDE, size - shift)):
            if shift:
                region.narrow(axis, start, size - start).add_(10 ** (axis - 1) * (number + 1))
    pixels = to_windows(region, frames).flatten(0, 2).squeeze(-1)
    hidden = HIDDEN * (pixels.unsqueeze(1) != pixels.unsqueeze(2)).float()
    return hidden.unsqueeze(1).repeat(repeats, 1, 1, 1)


def plain_deform_attention(
    query: Tensor, keys_values: Tensor, offsets: Tensor, heads: int, groups: int, kernel: int = 3
) -> Tensor:
    """Every sample stored."""
    batch, clip, channels, height, width = query.shape
    taps, depth = kernel**2, channels // heads
    shift = torch.arange(kernel) - kernel // 2
    row = torch.arange(height).view(1, 1, height, 1) + shift.repeat_interleave(kernel).view(1, taps, 1, 1)
    column = torch.arange(width).view(1, 1, 1, width) + shift.repeat(kernel).view(1, taps, 1, 1)
    result = []
    for b in range(batch):
        for t in range(clip):
            moves = offsets[b, t].view(clip, groups, taps, 2, height, width)
            samples = []
            for n in range(clip):
                source = keys_values[b, (n + t) % clip].unflatten(0, (groups, -1))
                y, x = row + moves[n, :, :, 0], column + moves[n, :, :, 1]
                grid = torch.stack((2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1), dim=-1).flatten(1, 2)
                sampled = F.grid_sample(source, grid, align_corners=True)
                samples.append(sampled.view(2, heads, depth, taps, height, width))
            keys, values = torch.cat(samples, dim=3)
            asked = query[b, t].view(heads, depth, 1, height, width) * depth**-0.5
            weight = (asked * keys).sum(1, keepdim=True).softmax(dim=2)
            result.append((weight * values).sum(2).flatten(0, 1))
    return torch.stack(result).view_as(query)


@contextmanager
def plain_rvrt() -> Iterator[None]:
    with (
        patch.object(AttentionLayer, "_attend", plain_attend),
        patch("selfhvd_cli.nets.rvrt.alignment.deform_attention", plain_deform_attention),
    ):
        yield


PLAIN: Mapping[str, Callable[[], AbstractContextManager[object]]] = {
    "ifirnn": lambda: patch.object(IFIRNN, "restore", plain_ifirnn_frame),
    "estrnn": lambda: patch.object(Fusion, "forward", plain_fusion),
    "basicvsrpp": lambda: patch("selfhvd_cli.nets.basicvsrpp.deform_conv2d", plain_deform_conv),
    "rvrt": plain_rvrt,
}
"""Network → context in which it runs as the official code is written."""


# ---- measuring --------------------------------------------------------------------------------------------


def drawn(name: str) -> Restorer:
    """The network behind its convention, weights drawn by the rule."""
    restorer = ARCHITECTURES[name].restorer()
    parity.fill_by_rule(restorer.network)
    return restorer.eval().requires_grad_(False)


def timed(restorer: Restorer, clip: Tensor, way: AbstractContextManager[object]) -> tuple[Tensor, float]:
    """The output, and processor seconds of all threads."""
    with torch.inference_mode(), way:
        begun = time.process_time()
        restored = restorer(clip)
        return restored, time.process_time() - begun


def measure(name: str, size: tuple[int, int], frames: int, rounds: int, compute: Compute) -> Ratio:
    """Plain, ours in float32, and ours, in turns; the least seconds of each."""
    width, height = size
    clip = parity.moving_pictures((1, frames, 3, height, width), seed=1)
    contiguous, ours = drawn(name), drawn(name)
    arrange(ours, compute.device)
    spent: dict[str, list[float]] = {"plain": [], "same": [], "ours": []}
    for _ in range(rounds):
        expected, seconds = timed(contiguous, clip, PLAIN[name]())
        spent["plain"].append(seconds)
        spent["same"].append(timed(contiguous, clip, nullcontext())[1])
        restored, seconds = timed(ours, clip, compute.autocast())
        spent["ours"].append(seconds)
    plain, same, our = (min(spent[way]) / frames for way in ("plain", "same", "ours"))
    psnr = -10 * torch.log10((restored - expected).square().mean()).item()
    precision = str(compute.dtype).removeprefix("torch.")
    return Ratio(name, f"{width}x{height}", frames, plain, same, our, plain / our, psnr, precision)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser("speed.py networks", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PLAIN)}; default: all")
    parser.add_argument("--size", default="1280x720", help="of the frames (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=FRAMES, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16"])
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    chosen = parser.parse_args(arguments)
    unknown = set(chosen.names) - set(PLAIN)
    if unknown:
        parser.error(f"no network {', '.join(sorted(unknown))}; choose of {', '.join(PLAIN)}")
    torch.set_num_threads(chosen.threads)
    width, height = map(int, chosen.size.split("x"))
    compute = choose_compute("cpu", chosen.precision)
    rows = []
    if not chosen.json:
        print(f"{compute}, {chosen.threads} threads, torch {torch.__version__}; processor seconds a frame")
        print(f"{'network':<12} {'size':>9} {'plain':>8} {'fp32':>8} {'ours':>8} {'times':>6} {'PSNR dB':>8}")
    for name in chosen.names or PLAIN:
        row = measure(name, (width, height), chosen.frames, chosen.rounds, compute)
        rows.append(asdict(row))
        if not chosen.json:
            print(
                f"{row.network:<12} {row.size:>9} {row.plain_seconds:>8.3f} {row.same_seconds:>8.3f} "
                f"{row.our_seconds:>8.3f} {row.times_faster:>6.2f} {row.psnr:>8.1f}",
                flush=True,
            )
    if chosen.json:
        print(json.dumps({"device": str(compute), "threads": chosen.threads, "networks": rows}, indent=2))
