"""VMAF of a video file against its reference, by the ffmpeg binary of imageio-ffmpeg."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from selfhvd_cli.errors import EnvironmentFault, SelfHVDError

SAID = 6
"""Last lines of ffmpeg's own words that a fault quotes."""


def vmaf(video: Path, reference: Path, every: int = 1) -> list[float]:
    """VMAF (model v0.6.1) of every `every`-th frame, 0 to 100.

    Frames are paired by their number, not by their time, and compared in stored orientation.

    Raises:
        EnvironmentFault: there is no ffmpeg with libvmaf.
        SelfHVDError: ffmpeg failed.
    """
    program = _program()
    clock = "settb=1/1000,setpts=N"
    graph = f"[0:v:0]{clock}[a];[1:v:0]{clock}[b];[a][b]libvmaf=log_fmt=json:log_path=vmaf.json:n_subsample={every}"
    inputs = [word for path in (video, reference) for word in ("-noautorotate", "-i", str(path.resolve()))]
    with tempfile.TemporaryDirectory(prefix="selfhvd-vmaf-") as folder:
        # Run inside the folder: a path within a filter's options would need two layers of escapes.
        words = [program, "-nostdin", "-v", "error", *inputs, "-lavfi", graph, "-f", "null", "-"]
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
        log = Path(folder) / "vmaf.json"
        if done.returncode != 0 or not log.is_file():
            words = done.stderr.strip().splitlines()[-SAID:]
            raise SelfHVDError(f"{video}: VMAF failed (ffmpeg ended with {done.returncode}): {' | '.join(words)}")
        frames = json.loads(log.read_text(encoding="utf-8"))["frames"]
    return [float(frame["metrics"]["vmaf"]) for frame in frames]


def can_vmaf() -> str:
    """Empty if VMAF can run here, else why not."""
    try:
        _program()
    except EnvironmentFault as fault:
        return fault.message
    return ""


@cache
def _program() -> str:
    import imageio_ffmpeg

    try:
        program: str = imageio_ffmpeg.get_ffmpeg_exe()
        filters = subprocess.run([program, "-hide_banner", "-filters"], capture_output=True, text=True, check=False)
    except (RuntimeError, OSError) as fault:
        raise EnvironmentFault(f"VMAF needs the ffmpeg of imageio-ffmpeg: {fault}.") from fault
    if " libvmaf " not in filters.stdout:
        named = os.environ.get("IMAGEIO_FFMPEG_EXE", program)
        raise EnvironmentFault(f"VMAF: {named} has no libvmaf; pip install --force-reinstall imageio-ffmpeg")
    return program
