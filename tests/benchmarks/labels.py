"""How good the labels of `selfhvd adapt` are, on synthetic clips with known truth: no training, only alignment.

    python tests/benchmarks/labels.py PHOTOS [--list NAMES] [--clips 4]

For every third blurry frame: PSNR against the truth, over the pixels that the occlusion mask trusts, of the embedded
network's output and of the nearest sharp frame aligned with that output, as it was recorded and as the network
restores it. A label that is worse than the output has nothing to teach.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from selfhvd_cli.flow.estimator import Flow
from selfhvd_cli.flow.estimators import estimator
from selfhvd_cli.flow.occlusion import occlusion_mask
from selfhvd_cli.ops.sharpness import sharpness
from selfhvd_cli.ops.warp import warp
from selfhvd_cli.restore.load import load_restorer, weights_reference
from selfhvd_cli.synthesis.clips import draw_clip
from selfhvd_cli.synthesis.pool import read_photos
from selfhvd_cli.training.sharpness import find_sharp_frames
from selfhvd_cli.weights.load import load_state_dict
from selfhvd_cli.weights.store import resolve

SIZE, FRAMES, SEVERITY = (192, 256), 20, 7.0
SEVERAL = 4


def masked_psnr(picture: Tensor, truth: Tensor, mask: Tensor) -> float:
    error = ((picture - truth).square().mean(1, keepdim=True) * mask).mean() / mask.mean().clamp(min=1e-6)
    return float(-10 * torch.log10(error.clamp(min=1e-10)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--list", type=Path)
    parser.add_argument("--clips", type=int, default=4)
    asked = parser.parse_args()
    names = asked.list.read_text().split() if asked.list else sorted(path.name for path in asked.photos.iterdir())
    reference = weights_reference("lite", None)
    restorer = load_restorer("lite", reference, resolve(reference), torch.device("cpu")).restorer.eval()
    flows = {"dis": estimator("dis").build(), "lite": estimator("lite").build(load_state_dict(resolve("lite")))}
    for number in range(1, asked.clips + 1):
        name = names[number % len(names)]
        drawn = draw_clip(
            read_photos([asked.photos / name]), SIZE, FRAMES, 9000 + number, severity=SEVERITY, things=0
        )
        pictures = [drawn.frame(index) for index in range(FRAMES)]
        given, truth = (
            torch.stack([torch.from_numpy(getattr(each, part)).permute(2, 0, 1) for each in pictures]).float() / 255
            for part in ("blurry", "sharp")
        )
        with torch.no_grad():
            output = restorer(given.unsqueeze(0))[0].clamp(0, 1)
        chosen = find_sharp_frames(sharpness(given).tolist()).indices
        found: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for frame in [index for index in range(FRAMES) if index not in chosen][::3]:
            here, true = output[frame : frame + 1], truth[frame : frame + 1]
            near = sorted(chosen, key=lambda index: abs(index - frame))[:SEVERAL]
            sums = [torch.zeros_like(here), torch.zeros_like(here[:, :1])]
            for flow_name, flow in flows.items():
                for kind, source in (("as recorded", given), ("restored", output)):
                    for place, other in enumerate(near if (flow_name, kind) == ("dis", "restored") else near[:1]):
                        label = source[other : other + 1]
                        there, back = flow(here, label), flow(label, here)
                        aligned = warp(label, there.vectors, mode="bicubic").clamp(0, 1)
                        mask = occlusion_mask(there, Flow(back.vectors, back.confidence))
                        if place == 0:
                            key = f"{kind}, aligned by {flow_name}"
                            found[key].append((masked_psnr(aligned, true, mask), masked_psnr(here, true, mask)))
                        if (flow_name, kind) == ("dis", "restored"):
                            sums = [sums[0] + aligned * mask, sums[1] + mask]
            mean, mask = sums[0] / sums[1].clamp(min=1e-6), sums[1] / len(near)
            key = f"mean of {SEVERAL} restored, by dis"
            found[key].append((masked_psnr(mean, true, mask), masked_psnr(here, true, mask)))
        print(f"{name}: {len(chosen)} of {FRAMES} frames sharp")
        for key, pairs in found.items():
            label_db, output_db = np.mean(pairs, axis=0)
            gap = label_db - output_db
            print(f"  {key:30s} {label_db:6.2f} dB, the output {output_db:6.2f} dB, {gap:+.2f} dB", flush=True)


if __name__ == "__main__":
    main()
