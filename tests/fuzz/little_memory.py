"""Run `deblur` with the network under every limit of memory, from hardly any to enough.

    python tests/fuzz/little_memory.py [--steps 40] [--most 600]

Whatever the limit, the run ends well or with exit code 6 and one message, and leaves nothing behind. Ends with 1 if
any run does otherwise.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
for place in (HERE, HERE.parent):
    sys.path.insert(0, str(place))

from tiny_clips import frame_times, make_clip  # noqa: E402 (found by the lines above)
from trial import start, warm_up  # noqa: E402

SECONDS = 120
"""Processor time a run may take."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--most", type=int, default=600, help="MiB beyond what the program itself takes")
    options = parser.parse_args()
    prepare()
    told: Counter[str] = Counter()
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        for step in range(options.steps):
            spare = round(options.most * (step + 1) / options.steps * 2**20)
            code, complaint = attempt(Path(scratch) / str(step), spare)
            told[f"exit code {code}"] += 1
            if complaint is not None:
                failed += 1
                print(f"with {spare >> 20} MiB: {complaint}", flush=True)
    print(f"{told.total()} runs, {failed} badly: {dict(told)}")
    raise SystemExit(1 if failed else 0)


def prepare() -> None:
    """Import what a run needs, and have torch make its tables: a limit shall strike the work, not the imports."""
    warm_up()
    import torch

    import selfhvd_cli.nets.lite
    import selfhvd_cli.restore.guard  # noqa: F401

    # With one thread: a process forked from one whose threads have met waits for them for ever.
    torch.set_num_threads(1)
    torch.nn.functional.conv2d(torch.ones(1, 1, 8, 8), torch.ones(1, 1, 3, 3))


def attempt(folder: Path, spare: int, words: Sequence[str] = ()) -> tuple[int, str | None]:
    """One run with so many bytes to spare; its exit code, and what is wrong with its end."""
    folder.mkdir()
    source = make_clip(folder / "clip.mp4", range(0, 20 * 20, 20), width=192, height=128)
    target, log = folder / "out.mp4", folder.with_suffix(".txt")
    child = os.fork()
    if not child:
        os.environ["SELFHVD_DATA_DIR"] = os.environ["SELFHVD_CACHE_DIR"] = str(folder.with_suffix(".data"))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + spare, size + spare))
        signal.alarm(4 * SECONDS)
        run = start(["deblur", str(source), "-o", str(target), "--device", "cpu", "--offline", *words], log)
        os._exit(os.waitstatus_to_exitcode(os.waitpid(run, 0)[1]) & 0xFF)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    said = log.read_text(errors="replace")
    left = sorted(path.name for path in folder.iterdir())
    shutil.rmtree(folder.with_suffix(".data"), ignore_errors=True)
    return code, _complaint(code, said, left, target)


def _complaint(code: int, said: str, left: Sequence[str], target: Path) -> str | None:
    if "Traceback" in said or "defect" in said or code not in (0, 6):
        return f"exit code {code}\n{said[-1500:]}"
    if code == 6:
        if said.count("Error (6, out of memory)") != 1:
            return f"not one message\n{said[-1500:]}"
        return None if left == ["clip.mp4"] else f"left behind: {left}"
    return None if len(frame_times(target)) == 20 else "frames are missing"


if __name__ == "__main__":
    main()
