"""What the processor does for each frame beside an accelerator: by planes, which the device converts, and by RGB.

What a thread of the run takes for a frame bounds the frames a second, however fast the device is. Nothing is restored
here: the stages are run one after the other on one core, and the encoder on all.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import torch
from whole_command import make_clip

from selfhvd_cli.restore.held import Packed, Planes
from selfhvd_cli.restore.scene_cuts import thumbnail
from selfhvd_cli.restore.stream import coarse
from selfhvd_cli.restore.windows import Frame
from selfhvd_cli.video.codes import Codes
from selfhvd_cli.video.frame import SourceFrame
from selfhvd_cli.video.reader import open_reader
from selfhvd_cli.video.restored_picture import restored_picture
from selfhvd_cli.video.writing import open_writer

WAYS = ("planes", "RGB")

WARM = 4
"""Frames that do not count."""


class Clock:
    """Processor seconds of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.counts = False

    @contextmanager
    def measured(self, stage: str) -> Iterator[None]:
        begun = time.process_time()
        yield
        if self.counts:
            self.seconds[stage] += time.process_time() - begun


def work(clip: Path, way: str) -> dict[str, float]:
    """Milliseconds of a core that one frame takes, by stage."""
    clock, count = Clock(), 0
    with open_reader(clip, None, None) as reader:
        frames = iter(reader)
        while True:
            clock.counts = count >= WARM
            with clock.measured("decode"):
                frame = next(frames, None)
            if frame is None:
                break
            count += 1
            _stages(frame, way, clock)
    return {stage: 1000 * seconds / (count - WARM) for stage, seconds in clock.seconds.items()}


def _stages(frame: SourceFrame, way: str, clock: Clock) -> None:
    codes: Codes | None = None
    with clock.measured("made ready for the device"):
        if way == "planes":
            codes = frame.codes()
            assert codes is not None
        held = Packed.of(frame.rgb()) if codes is None else Planes(codes)
    with clock.measured("looked at for scene cuts"):
        thumbnail(coarse(Frame(held, frame.time)))
    result = (frame.rgb() * 0.9) if codes is None else codes
    if codes is None:
        frame.forget()
        with clock.measured("RGB that a change is the difference to"):
            frame.rgb()
    with clock.measured("change put into the picture"):
        restored_picture(frame, result, frame.picture.format.name)


def encoding(clip: Path, target: Path) -> tuple[float, float]:
    """Milliseconds that the encoder takes for a frame as `deblur` opens it: of a core, and of time on all of them."""
    with open_reader(clip, None, None) as reader, open_writer(target, reader.info) as writer:
        frames = list(reader)
        begun, processor = time.perf_counter(), time.process_time()
        for frame in frames:
            writer.write(frame)
    wall, processor = time.perf_counter() - begun, time.process_time() - processor
    return 1000 * processor / len(frames), 1000 * wall / len(frames)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser("speed.py host", description=__doc__)
    parser.add_argument("--size", default="1920x1080", help="of the clip (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=40, help="of the clip (default: %(default)s)")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        clip = make_clip(Path(folder), chosen.size, chosen.frames)
        core, wall = encoding(clip, Path(folder) / "encoded.mp4")
        torch.set_num_threads(1)
        cv2.setNumThreads(1)
        found = {way: work(clip, way) for way in WAYS}
    if chosen.json:
        print(json.dumps({**found, "encoder": {"core": core, "wall": wall}}, indent=2))
        return
    print(f"{chosen.size}, {chosen.frames} frames: ms of a core for each frame")
    print(f"{'stage':<40}", *(f"{'by ' + way:>10}" for way in WAYS))
    for stage in dict.fromkeys(stage for way in reversed(WAYS) for stage in found[way]):
        print(f"{stage:<40}", *(f"{found[way].get(stage, 0.0):>10.1f}" for way in WAYS))
    print(f"{'all of it':<40}", *(f"{sum(found[way].values()):>10.1f}" for way in WAYS))
    print(f"the encoder: {core:.0f} ms of a core, {wall:.0f} ms of time on all of this machine's")
