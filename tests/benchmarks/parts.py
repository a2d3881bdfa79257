"""What each part of the embedded network is worth as it is shipped: left out, or looking at one pixel only.

    python tests/benchmarks/parts.py PHOTOS [--list bench.txt] [--weights FILE] [--only WORD ...]

Nothing is trained again, so these are upper limits of what a part costs to give up. Gains are the network's own,
before the guard, over the recorded frames of eight clips, half of them of soft scenes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from photographs import add_options, as_tensor, chosen
from torch import Tensor, nn

from selfhvd_cli.heap import keep_large_blocks
from selfhvd_cli.nets.lite import Lite
from selfhvd_cli.synthesis.clips import draw_clip
from selfhvd_cli.synthesis.pool import read_photos
from selfhvd_cli.weights.load import load_state_dict
from selfhvd_cli.weights.store import resolve

CLIPS: tuple[tuple[tuple[int, int], int, float, bool | None], ...] = (
    ((480, 640), 9, 0.0, False),
    ((480, 640), 9, 1.2, False),
    ((480, 640), 9, 1.2, True),
    ((480, 640), 9, 0.0, None),
    ((720, 1280), 7, 0.0, False),
    ((720, 1280), 7, 1.2, None),
    ((1080, 1440), 5, 1.2, None),
    ((1080, 1440), 5, 0.0, None),
)
"""Height and width, frames, softness of the scene in pixels, and whether it is night (None: as drawn)."""


def left_out(block: int) -> Callable[[Lite], None]:
    def change(network: Lite) -> None:
        network.deep[block] = nn.Identity()

    return change


def one_pixel(layer: str, inputs: slice = slice(None)) -> Callable[[Lite], None]:
    """Only the middle of the kernels of a layer, for some of its inputs."""

    def change(network: Lite) -> None:
        middle = torch.zeros(3, 3)
        middle[1, 1] = 1.0
        network.get_submodule(layer).weight.data[:, inputs] *= middle  # type: ignore[union-attr, operator]

    return change


def fewer_sources(count: int) -> Callable[[Lite], None]:
    def change(network: Lite) -> None:
        network.sources = count

    return change


def no_eighth(network: Lite) -> None:
    nn.init.zeros_(network.up.weight)
    nn.init.zeros_(network.up.bias)  # type: ignore[arg-type]


PARTS: dict[str, Callable[[Lite], None]] = {
    "as shipped": lambda network: None,
    "without the first block at an eighth": left_out(0),
    "without the second": left_out(1),
    "without the third": left_out(2),
    "nothing at an eighth": no_eighth,
    "on the way to an eighth, one pixel": one_pixel("down"),
    "three sources": fewer_sources(3),
    "two sources": fewer_sources(2),
    "weights of sources, one pixel": one_pixel("mix"),
    "the most known of any source, one pixel": one_pixel("enter", slice(128, 160)),
    "last block, first layer, one pixel": one_pixel("leave.first"),
    "residual, one pixel": one_pixel("residual"),
}
"""One change each."""


def drawn(paths: list[Path]) -> list[tuple[Tensor, Tensor]]:
    """Recorded and sharp frames `[T, 3, H, W]` of every clip."""
    clips = []
    for number, (size, count, softness, night) in enumerate(CLIPS):
        photos = read_photos([paths[(3 * number + k) % len(paths)] for k in (0, 3, 7)])
        clip = draw_clip(photos, size, count, 7000 + number, night=night, softness=softness)
        frames = [clip.frame(index) for index in range(count)]
        clips.append((as_tensor([f.blurry for f in frames]), as_tensor([f.sharp for f in frames])))
    return clips


def psnr(picture: Tensor, truth: Tensor) -> Tensor:
    """dB a frame."""
    return -10.0 * torch.log10((picture.clamp(0, 1) - truth).square().flatten(1).mean(1).clamp(min=1e-10))


def main() -> None:
    keep_large_blocks()
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--only", nargs="*", default=[""], help="rows whose name has one of these words")
    arguments = parser.parse_args()
    state = load_state_dict(arguments.weights or resolve("lite"))
    clips = drawn(chosen(arguments))
    print("| | gain | blurrier half | sharper half | least of any frame |\n|" + " --- |" * 5)
    for name, change in PARTS.items():
        if not any(word in name for word in arguments.only):
            continue
        network = Lite().eval()
        network.load_state_dict(state)
        change(network)
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        with torch.inference_mode():
            rows = [(psnr(blurry, sharp), psnr(network(blurry[None])[0], sharp)) for blurry, sharp in clips]
        before, after = (torch.cat(column) for column in zip(*rows, strict=True))
        gain, blurrier = after - before, before <= before.median()
        print(
            f"| {name} | {gain.mean():+.2f} dB | {gain[blurrier].mean():+.2f} dB "
            f"| {gain[~blurrier].mean():+.2f} dB | {gain.min():+.2f} dB |",
            flush=True,
        )


if __name__ == "__main__":
    main()
