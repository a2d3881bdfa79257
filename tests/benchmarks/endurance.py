"""What only shows after long: two hours of uneven frames with sound, and a thousand clips in one process.

    python tests/benchmarks/endurance.py [--hours 2] [--clips 1000]

Prints how far the last frame and the last sound of the long stream are from their times, exactly, and memory and open
files as the clips go by. The pictures are tiny and pass at strength 0.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import av
import numpy as np
from tiny_clips import make_clip

from selfhvd_cli import deblur
from selfhvd_cli.video.encoders import Encoding

FAST = Encoding(preset="ultrafast", crf=35)


def make_long(path: Path, seconds: int) -> None:
    """About two frames a second at uneven times on a clock of 1/90000 s, and tones on and on."""
    dice = random.Random(0)
    base = Fraction(1, 90000)
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=30, options={"preset": "ultrafast", "crf": "35"})
        video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        video.codec_context.time_base = video.time_base = base
        sound = output.add_stream("aac", rate=8000, layout="mono")
        tone = (np.sin(np.arange(1024) / 9)[None] / 4).astype(np.float32)
        tick, samples = 0, 0
        while tick * base < seconds:
            picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), tick // 9000 % 255, np.uint8), format="rgb24")
            picture.pts, picture.time_base = tick, base
            output.mux(video.encode(picture))
            while Fraction(samples, 8000) < tick * base:
                part = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
                part.rate, part.pts, part.time_base = 8000, samples, Fraction(1, 8000)
                output.mux(sound.encode(part))
                samples += 1024
            tick += dice.randint(9001, 80001)
        output.mux(video.encode(None))
        output.mux(sound.encode(None))


def times(path: Path, kind: str) -> list[Fraction]:
    """When the packets of the first stream of a kind are shown or heard, in order."""
    with av.open(str(path)) as container:
        stream = next(stream for stream in container.streams if stream.type == kind)
        stamps = [packet.pts for packet in container.demux(stream) if packet.size and packet.pts is not None]
        assert stream.time_base is not None
        return sorted(stamp * stream.time_base for stamp in stamps)


def long_stream(folder: Path, seconds: int) -> None:
    source, target = folder / "long.mp4", folder / "out.mp4"
    make_long(source, seconds)
    deblur(source, target, strength=0, encoding=FAST)
    for kind in ("video", "audio"):
        before, after = times(source, kind), times(target, kind)
        worst = max(abs(new - old) for old, new in zip(before, after, strict=True))
        print(f"{kind}: {len(after)} of {len(before)}, up to {float(after[-1]):.3f} s, worst time off by {worst} s")


def many_clips(folder: Path, count: int) -> None:
    source = make_clip(folder / "clip.mp4")
    for number in range(1, count + 1):
        deblur(source, folder / "o.mp4", strength=0, overwrite=True, encoding=FAST)
        if number == 10 or number % max(1, count // 4) == 0:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            memory = pages * os.sysconf("SC_PAGE_SIZE") >> 20
            print(f"after {number} clips: {memory} MiB, {len(os.listdir('/proc/self/fd'))} open files", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=2)
    parser.add_argument("--clips", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        begin = time.monotonic()
        long_stream(Path(scratch), round(3600 * options.hours))
        print(f"{options.hours:g} hours in {time.monotonic() - begin:.0f} s", flush=True)
        many_clips(Path(scratch), options.clips)


if __name__ == "__main__":
    main()
