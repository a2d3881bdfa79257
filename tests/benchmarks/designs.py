"""Designs of the embedded network on equal training budgets: what each of its parts is worth.

    python tests/benchmarks/designs.py PHOTOS --train train.txt --bench bench.txt [--steps 1500] [--only NAME ...]

Every design is trained from scratch on the same windows in the same order, then restores the same clips, unguarded.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from selfhvd_cli.device import choose_compute
from selfhvd_cli.heap import keep_large_blocks
from selfhvd_cli.nets.lite import Lite
from selfhvd_cli.pretrain_network import PretrainConfig, pretrain_steps
from selfhvd_cli.synthesis.clips import draw_clip
from selfhvd_cli.synthesis.pool import read_photos
from selfhvd_cli.weights.load import load_state_dict

BASE = PretrainConfig(crop=128, batch=4, sources=3, rate=5e-4, cascade=0.7, seed=11)

DESIGNS: dict[str, PretrainConfig] = {
    "lite": BASE,
    "one source instead of three": replace(BASE, sources=1),
    "one scale in training": replace(BASE, cascade=0.0),
    "flow not supervised": replace(BASE, flow_weight=0.0),
}
"""One difference each."""

CLIPS = (((480, 640), 9), ((480, 640), 9), ((720, 960), 5))
"""Size and frames of the clips to restore; the last is large enough for the smaller scale to be used."""


def gains(network: Lite, photos: list[Path]) -> tuple[float, float]:
    """Mean PSNR gain in dB over the blurrier and the sharper half of the frames."""
    compute = choose_compute("cpu")
    rows = []
    for number, (size, frames) in enumerate(CLIPS):
        clip = draw_clip(read_photos([photos[number], photos[number + 3]]), size, frames, 500 + number)
        drawn = [clip.frame(i) for i in range(frames)]
        blurry, sharp = (
            torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255.0
            for pictures in ([f.blurry for f in drawn], [f.sharp for f in drawn])
        )
        with torch.inference_mode(), compute.autocast():
            output = network(blurry.unsqueeze(0))[0].float().clamp(0, 1)
        rows += [(psnr(b, s), psnr(o, s)) for b, o, s in zip(blurry, output, sharp, strict=True)]
    table = np.array(rows)
    worse = table[:, 0] <= np.median(table[:, 0])
    gain = table[:, 1] - table[:, 0]
    return float(gain[worse].mean()), float(gain[~worse].mean())


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(-10 * torch.log10((a - b).square().mean().clamp(min=1e-10)))


def main() -> None:
    keep_large_blocks()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--bench", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--only", nargs="*", default=list(DESIGNS))
    arguments = parser.parse_args()
    training = [arguments.photos / name for name in arguments.train.read_text().split()]
    unseen = [arguments.photos / name for name in arguments.bench.read_text().split()]
    print("| design | parameters | gain, blurrier half | gain, sharper half | endpoint error, px | seconds |")
    print("|" + " --- |" * 6)
    for name in arguments.only:
        config = replace(DESIGNS[name], steps=arguments.steps)
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            weights = Path(folder) / "design.safetensors"
            reports = list(pretrain_steps(training, weights, config, device="cpu", workers=1, validate_every=10**9))
            network = Lite(sources=config.sources).eval()
            network.load_state_dict(load_state_dict(weights))
        seconds = time.monotonic() - began
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        blurrier, sharper = gains(network, unseen)
        last = reports[-1].validation or {}
        count = sum(value.numel() for value in network.parameters())
        print(
            f"| {name} | {count / 1e6:.2f} M | {blurrier:+.2f} dB | {sharper:+.2f} dB "
            f"| {last.get('endpoint_error', float('nan')):.2f} | {seconds:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
