"""What the guard lets through of pictures that are the truth in grey and wrong in their colours.

    python tests/benchmarks/wrong_colours.py PHOTOS --list bench.txt

A frame of each photograph, blurred as by a hand, is given to the guard with its truth in wrong colours as the
restoration; with and without the part of the guard that looks at colours.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import torch
import torch.nn.functional as F
from photographs import as_tensor, chosen
from torch import Tensor

from selfhvd_cli.ops.sharpness import gray
from selfhvd_cli.quality.fidelity import psnr
from selfhvd_cli.restore.chroma import beyond_colours
from selfhvd_cli.restore.guard import guard
from selfhvd_cli.synthesis.clips import draw_clip
from selfhvd_cli.synthesis.pool import read_photos

LOST = 0.1
"""Decibels."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, help="folder of sharp photographs")
    parser.add_argument("--list", type=Path, dest="listing", help="file naming the photographs to use")
    parser.add_argument("--count", type=int, default=12, help="of them (default: %(default)s)")
    parser.add_argument("--blur", type=float, default=8.0, help="90th percentile in pixels (default: %(default)s)")
    asked = parser.parse_args()
    pairs = [_pair(path, number, asked.blur) for number, path in enumerate(chosen(asked)[: asked.count])]
    print(f"{len(pairs)} photographs; strength let through, PSNR, share that lost {LOST} dB and more")
    print("| colours | without looking at them | with |\n| --- | --- | --- |")
    for name, spoil in KINDS.items():
        cells = [_cell(pairs, spoil, look) for look in (_no_look, beyond_colours)]
        print(f"| {name} | {cells[0]} | {cells[1]} |")


def _pair(path: Path, seed: int, blur: float) -> tuple[Tensor, Tensor]:
    """Blurred and sharp, `[3, 480, 640]`."""
    frame = draw_clip(read_photos([path]), (480, 640), 3, seed, severity=blur, night=False).frame(1)
    blurry, sharp = as_tensor([frame.blurry, frame.sharp])
    return blurry, sharp


def _cell(
    pairs: list[tuple[Tensor, Tensor]], spoil: Callable[[Tensor], Tensor], look: Callable[..., tuple[Tensor, Tensor]]
) -> str:
    strengths, before, after = [], [], []
    with mock.patch("selfhvd_cli.restore.guard.beyond_colours", look):
        for blurred, sharp in pairs:
            result, verdict = guard(blurred, spoil(sharp))
            strengths.append(verdict.strength)
            before.append(psnr(blurred, sharp))
            after.append(psnr(result, sharp))
    lost = sum(now < then - LOST for now, then in zip(after, before, strict=True))
    mean = [sum(each) / len(pairs) for each in (strengths, before, after)]
    return f"{mean[0]:.2f}, {mean[1]:.1f} to {mean[2]:.1f} dB, {lost / len(pairs):.2f}"


def _no_look(source: Tensor, picture: Tensor, source_half: Tensor, picture_half: Tensor) -> tuple[Tensor, Tensor]:
    blank = torch.zeros(len(source), 3, *source_half.shape[-2:])
    return blank, F.avg_pool2d(blank[:, :1], 4, ceil_mode=True)


def _only_colours(picture: Tensor) -> Tensor:
    return picture - gray(picture)


def _noise(codes: float) -> Callable[[Tensor], Tensor]:
    def spoil(sharp: Tensor) -> Tensor:
        noise = torch.randn(sharp.shape, generator=torch.Generator().manual_seed(0))
        return sharp + _only_colours(noise * codes / 255.0)

    return spoil


def _between_red_and_blue(pattern: Tensor) -> Tensor:
    return _only_colours(torch.cat((pattern, torch.zeros_like(pattern), -pattern)))


def _fringes(sharp: Tensor) -> Tensor:
    light = gray(sharp)
    return sharp + _between_red_and_blue(light - F.avg_pool2d(light.unsqueeze(0), 9, 1, 4)[0])


def _chequered(sharp: Tensor) -> Tensor:
    rows, columns = (torch.arange(size) // 8 % 2 for size in sharp.shape[1:])
    board = (rows.view(1, -1, 1) ^ columns) * 2.0 - 1.0
    return sharp + _between_red_and_blue(board * 20.0 / 255.0)


def _other_block(sharp: Tensor) -> Tensor:
    spoilt = sharp.clone()
    spoilt[:, 200:280] = sharp[[2, 1, 0], 200:280]
    return spoilt


KINDS: dict[str, Callable[[Tensor], Tensor]] = {
    "right": lambda sharp: sharp,
    "blue moved by 2 px": lambda sharp: torch.cat((sharp[:2], sharp[2:].roll(2, -1))),
    "noise of 10 codes": _noise(10.0),
    "noise of 25 codes": _noise(25.0),
    "fringes": _fringes,
    "chequered": _chequered,
    "none": lambda sharp: gray(sharp).expand(3, -1, -1),
    "half as much again": lambda sharp: gray(sharp) + 1.5 * _only_colours(sharp),
    "red and blue exchanged in a band": _other_block,
}

if __name__ == "__main__":
    sys.exit(main())
