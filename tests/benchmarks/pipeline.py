"""What `selfhvd deblur --strength 0` costs beside the ffmpeg program doing the same encode, in time and memory.

    python tests/benchmarks/pipeline.py [--seconds 20] [--rounds 3] [--preset medium] [--crf 17] [--only PART]

Prints: the ratio of wall and processor time between the whole command (its start, decoding, encoding, the check of
the result) and the ffmpeg program of imageio-ffmpeg with the same codec, quality and preset, alternating in one run;
the cost of the conversions to RGB and back, and the error of an identity pass; the peak memory of 1080p clips of 10
and 60 seconds without a network, and of small ones with it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


@dataclass(frozen=True)
class Run:
    """One finished process."""

    wall: float
    processor: float
    memory: float
    """Peak, MiB."""


def run(*command: object) -> Run:
    """Run a command to its end and measure it."""
    begin = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command[0]} failed:\n{said.decode(errors='replace')[-2000:]}")
    return Run(time.perf_counter() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def make_clip(path: Path, seconds: int, size: str = "1920x1080", rate: int = 30) -> None:
    """A clip with motion and grain, and with sound."""
    picture = f"testsrc2=s={size}:r={rate}:d={seconds},noise=alls=3:allf=t"
    sound = f"sine=f=440:r=48000:d={seconds}"
    run(
        FFMPEG, "-v", "error", "-y", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound,
        "-c:v", "libx264", "-preset", "superfast", "-crf", "23", "-pix_fmt", "yuv420p", "-c:a", "aac", path,
    )  # fmt: skip


def repeat_clip(source: Path, target: Path, times: int) -> None:
    """The same clip several times over, without encoding it again."""
    run(FFMPEG, "-v", "error", "-y", "-stream_loop", times - 1, "-i", source, "-c", "copy", target)


def with_ffmpeg(source: Path, target: Path, preset: str, crf: int) -> Run:
    return run(
        FFMPEG, "-v", "error", "-y", "-i", source, "-map", "0", "-c", "copy", "-c:v", "libx264", "-preset", preset,
        "-crf", crf, "-movflags", "+faststart", target,
    )  # fmt: skip


def with_us(source: Path, target: Path, preset: str, crf: int, strength: float = 0) -> Run:
    return run(
        sys.executable, "-m", "selfhvd_cli", "deblur", source, "-o", target, "--strength", strength,
        "--preset", preset, "--crf", crf, "--overwrite", "--progress", "none", "--device", "cpu", "--offline",
    )  # fmt: skip


def conversions(source: Path) -> None:
    """Time `rgb()` and the way back on real frames, and see what an identity pass changes."""
    import numpy as np
    import torch

    from selfhvd_cli.video.pixels import add_change, to_rgb
    from selfhvd_cli.video.reader import open_reader

    there, back = [], []
    spent = [0.0, 0.0]
    error = 0
    with open_reader(source) as reader:
        for frame in reader:
            begin, busy = time.perf_counter(), time.thread_time()
            rgb = to_rgb(frame.picture, frame.signal)
            there.append(1000 * (time.perf_counter() - begin))
            spent[0] += 1000 * (time.thread_time() - busy)
            after = rgb + 0.01
            frame.picture.make_writable()
            before = frame.picture.to_ndarray().astype(int)
            add_change(frame.picture, rgb, rgb.clone(), frame.signal)
            error = max(error, int(np.abs(frame.picture.to_ndarray() - before).max()))
            begin, busy = time.perf_counter(), time.thread_time()
            add_change(frame.picture, rgb, after, frame.signal)
            back.append(1000 * (time.perf_counter() - begin))
            spent[1] += 1000 * (time.thread_time() - busy)
            if frame.index == 30:
                break
    print(f"identity pass to RGB and back, before encoding: at most {error} code values off")
    threads = torch.get_num_threads()
    for name, times, busy in (("to RGB", there, spent[0]), ("change into planes", back, spent[1])):
        wall = f"{min(times):.1f} ms at best, {statistics.median(times):.1f} ms median"
        print(f"{name}: {wall}, {threads} threads; main thread busy {busy / len(times):.1f} ms")


def speed(source: Path, folder: Path, options: argparse.Namespace) -> None:
    """Alternate the two programs on the same clip."""
    ours, theirs = [], []
    for _ in range(options.rounds):
        theirs.append(with_ffmpeg(source, folder / "theirs.mp4", options.preset, options.crf))
        ours.append(with_us(source, folder / "ours.mp4", options.preset, options.crf))
    for name in ("wall", "processor"):
        pairs = [(getattr(mine, name), getattr(other, name)) for mine, other in zip(ours, theirs, strict=True)]
        mine, other = (min(column) for column in zip(*pairs, strict=True))
        ratios = statistics.median(mine / other for mine, other in pairs)
        print(f"{name} time: ours {mine:.1f} s, ffmpeg {other:.1f} s at best, ratio {mine / other:.2f}", end="")
        print(f"; median of the ratios {ratios:.2f}", flush=True)
    sizes = [(folder / f"{name}.mp4").stat().st_size / 1e6 for name in ("ours", "theirs")]
    print(f"size: ours {sizes[0]:.2f} MB, ffmpeg {sizes[1]:.2f} MB")


def memory(folder: Path, size: str, rate: int, strength: float) -> None:
    """The peaks of a clip of 10 seconds and of one of 60."""
    short, long = folder / "short.mp4", folder / "long.mp4"
    make_clip(short, 10, size, rate)
    repeat_clip(short, long, 6)
    peaks = [with_us(path, folder / "m.mp4", "ultrafast", 30, strength).memory for path in (short, long)]
    words = "lite" if strength else "no network"
    print(f"peak memory, {size}, {words}: 10 s {peaks[0]:.0f} MiB, 60 s {peaks[1]:.0f} MiB", end="")
    print(f", ratio {peaks[1] / peaks[0]:.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--preset", default="medium")
    parser.add_argument("--crf", type=int, default=17)
    parser.add_argument("--only", choices=("colour", "speed", "memory"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if options.only != "memory":
            make_clip(folder / "in.mp4", options.seconds)
        if options.only in (None, "colour"):
            conversions(folder / "in.mp4")
        if options.only in (None, "speed"):
            speed(folder / "in.mp4", folder, options)
        if options.only in (None, "memory"):
            memory(folder, "1920x1080", 30, 0)
            memory(folder, "128x96", 5, 1)


if __name__ == "__main__":
    main()
