"""What reading and writing cost beside FFmpeg's own program doing the same encode, and whether memory stays flat.

    python tests/benchmarks/pipeline.py [--seconds 10] [--rounds 2] [--preset medium] [--crf 17]

Prints: the ratio of wall and processor time between a copy through this project (strength 0: decoded, encoded,
nothing restored) and the ffmpeg program of imageio-ffmpeg with the same codec, quality and preset, alternating in one
run; the cost of the conversions to RGB and back; the peak memory of clips of 10 and 60 seconds.
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

    start: tuple[float, float] = (0.0, 0.0)
    """Wall and processor time of the first part, the start of Python and the import of torch."""


def run(*command: object) -> Run:
    """Run a command to its end and measure it."""
    begin = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stderr is not None
    assert process.stdout is not None
    told = process.stdout.read().split()
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command[0]} failed:\n{said.decode(errors='replace')[-2000:]}")
    start = (float(told[0]) - begin, float(told[1])) if len(told) == 2 else (0.0, 0.0)
    return Run(time.perf_counter() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, start)


def make_clip(path: Path, seconds: int) -> None:
    """A 1080p clip with motion and grain, 30 frames a second, with sound."""
    picture = f"testsrc2=s=1920x1080:r=30:d={seconds},noise=alls=6:allf=t"
    sound = f"sine=f=440:r=48000:d={seconds}"
    run(
        FFMPEG, "-v", "error", "-y", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound,
        "-c:v", "libx264", "-preset", "superfast", "-crf", "20", "-pix_fmt", "yuv420p", "-c:a", "aac", path,
    )  # fmt: skip


def with_ffmpeg(source: Path, target: Path, preset: str, crf: int) -> Run:
    return run(
        FFMPEG, "-v", "error", "-y", "-i", source, "-map", "0", "-c", "copy", "-c:v", "libx264", "-preset", preset,
        "-crf", crf, "-movflags", "+faststart", target,
    )  # fmt: skip


def with_us(source: Path, target: Path, preset: str, crf: int) -> Run:
    return run(sys.executable, __file__, "--copy", source, target, "--preset", preset, "--crf", crf)


def copy(source: Path, target: Path, preset: str, crf: int) -> None:
    """The copy itself, in a process of its own."""
    from selfhvd_cli.video.encoders import Encoding
    from selfhvd_cli.video.reader import open_reader
    from selfhvd_cli.video.writer import open_writer

    print(time.perf_counter(), time.process_time())
    encoding = Encoding(crf=crf, preset=preset)
    with open_reader(source) as reader, open_writer(target, reader.info, encoding, overwrite=True) as writer:
        for frame in reader:
            writer.write(frame)


def conversions(source: Path) -> None:
    """Time `rgb()` and the way back on real frames."""
    import torch

    from selfhvd_cli.video.pixels import add_change, to_rgb
    from selfhvd_cli.video.reader import open_reader

    there, back = [], []
    spent = [0.0, 0.0]
    with open_reader(source) as reader:
        for frame in reader:
            begin, busy = time.perf_counter(), time.thread_time()
            rgb = to_rgb(frame.picture, frame.signal)
            there.append(1000 * (time.perf_counter() - begin))
            spent[0] += 1000 * (time.thread_time() - busy)
            after = rgb + 0.01
            frame.picture.make_writable()
            begin, busy = time.perf_counter(), time.thread_time()
            add_change(frame.picture, rgb, after, frame.signal)
            back.append(1000 * (time.perf_counter() - begin))
            spent[1] += 1000 * (time.thread_time() - busy)
            if frame.index == 60:
                break
    threads = torch.get_num_threads()
    for name, times, busy in (("to RGB", there, spent[0]), ("change into planes", back, spent[1])):
        wall = f"{min(times):.1f} ms at best, {statistics.median(times):.1f} ms median"
        print(f"{name}: {wall}, {threads} threads; main thread busy {busy / len(times):.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--copy", nargs=2, type=Path)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--preset", default="medium")
    parser.add_argument("--crf", type=int, default=17)
    options = parser.parse_args()
    if options.copy:
        copy(*options.copy, options.preset, options.crf)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        source, long = folder / "in.mp4", folder / "long.mp4"
        make_clip(source, options.seconds)
        conversions(source)
        ours, theirs = [], []
        for _ in range(options.rounds):
            theirs.append(with_ffmpeg(source, folder / "theirs.mp4", options.preset, options.crf))
            ours.append(with_us(source, folder / "ours.mp4", options.preset, options.crf))
        for index, name in enumerate(("wall", "processor")):
            other = min(getattr(each, name) for each in theirs)
            best = min(ours, key=lambda each, name=name: getattr(each, name))
            mine = getattr(best, name)
            work = mine - best.start[index]
            print(f"{name} time: ours {mine:.1f} s, ffmpeg {other:.1f} s, ratio {mine / other:.2f}", end="")
            print(f"; without the start of Python {work:.1f} s, ratio {work / other:.2f}")
        sizes = [(folder / f"{name}.mp4").stat().st_size / 1e6 for name in ("ours", "theirs")]
        print(f"size: ours {sizes[0]:.2f} MB, ffmpeg {sizes[1]:.2f} MB")
        make_clip(long, 6 * options.seconds)
        memory = [with_us(path, folder / "m.mp4", "ultrafast", 30).memory for path in (source, long)]
        seconds = (options.seconds, 6 * options.seconds)
        print(", ".join(f"peak memory of {s} s: {m:.0f} MiB" for s, m in zip(seconds, memory, strict=True)))
        print(f"ratio {memory[1] / memory[0]:.3f}")


if __name__ == "__main__":
    main()
