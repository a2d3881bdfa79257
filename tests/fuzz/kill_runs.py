"""Interrupt, terminate and kill `deblur`, `adapt` and `pull` at random moments, then let the same command go on.

    python tests/fuzz/kill_runs.py [--count 60] [--seed 0] [--only deblur|resume|copy|adapt|pull]

After each blow: the old output is as it was or the new one whole, weights are never torn, an interrupted run says so
in one message and leaves nothing unfinished behind but what it resumes from, and the same command then ends well.
`resume` is a long deblurring, struck twice before it may end; its output must be that of an undisturbed run, bit for
bit. Ends with 1 if any of this fails.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

HERE = Path(__file__).parent
for place in (HERE, HERE.parent, HERE.parent / "video", HERE.parent / "weights"):
    sys.path.insert(0, str(place))

from trial import start, warm_up  # noqa: E402 (found by the line above)

BLOWS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
OLD = b"the old output, which is precious"
TRIES = 5
"""How often a run is begun that ends before its blow comes: the machine is now slower, now faster."""

PATIENCE = 600.0
"""Seconds after which a run counts as hung."""


@dataclass(frozen=True)
class Drill:
    """A command to be struck."""

    run: Callable[[Path], int]
    """Starts it with its log in the given file; the process number."""

    target: Path
    whole: Callable[[Path], bool]
    """Whether a file is a finished output."""

    kept: tuple[str, ...] = ()
    """Endings of what an interrupted run may leave, to go on from."""

    blows: int = 1
    """How often it is struck before it may end."""

    exact: bool = False
    """Whether the output must be that of an undisturbed run, bit for bit."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=tuple(DRILLS))
    options = parser.parse_args()
    warm_up()
    dice = random.Random(options.seed)
    told: Counter[str] = Counter()
    struck = failed = 0
    names = [options.only] if options.only else list(DRILLS)
    for name in names:
        with tempfile.TemporaryDirectory() as scratch, DRILLS[name](Path(scratch)) as drill:
            length = undisturbed(drill)
            expected = drill.target.read_bytes() if drill.exact else None
            for number in range(options.count // len(names)):
                blow = BLOWS[number % len(BLOWS)]
                for _ in range(TRIES):
                    moments = [dice.uniform(0.02, 1.0) * length for _ in range(drill.blows)]
                    complaint, hit = strike(drill, blow, moments)
                    if hit or complaint is not None:
                        break
                struck += hit
                if complaint is None and expected not in (None, drill.target.read_bytes()):
                    complaint = "another output than that of an undisturbed run"
                told[f"{name} {blow.name}{'' if hit else ' (too late)'}"] += 1
                told[f"{name} went on from what was kept"] += went_on(drill)
                if complaint is not None:
                    failed += 1
                    after = ", ".join(f"{moment:.2f}" for moment in moments)
                    print(f"{name}, {blow.name} after {after} s: {complaint}", flush=True)
    print(f"{struck} runs struck, {failed} badly: {dict(told)}")
    raise SystemExit(1 if failed else 0)


def undisturbed(drill: Drill) -> float:
    """Seconds the command takes when it is left alone."""
    begin = time.monotonic()
    code, said = finish(drill)
    if code != 0 or not drill.whole(drill.target):
        raise SystemExit(f"the command fails by itself:\n{said}")
    return time.monotonic() - begin


def strike(drill: Drill, blow: signal.Signals, moments: Sequence[float]) -> tuple[str | None, bool]:
    """Blows, one a run, and then a run to the end; what went wrong, if anything, and whether the first one hit."""
    folder = drill.target.parent
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if drill.target.suffix == ".mp4":
        drill.target.write_bytes(OLD)
    folder.with_name("again.txt").unlink(missing_ok=True)
    hit = False
    for moment in moments:
        complaint, struck = strike_once(drill, blow, moment)
        hit |= struck
        if complaint is not None or drill.whole(drill.target):
            return complaint, hit
    code, said = finish(drill)
    if code != 0 or not drill.whole(drill.target):
        return f"the same command afterwards: exit code {code}\n{said[-600:]}", hit
    left = {path.name for path in folder.iterdir() if path.name.endswith((".part", ".resume"))}
    return (f"left behind after the last run: {left}" if left else None), hit


def strike_once(drill: Drill, blow: signal.Signals, moment: float) -> tuple[str | None, bool]:
    """One run and one blow; what went wrong, if anything, and whether it hit a running command."""
    overwrites = drill.target.suffix == ".mp4"
    log = drill.target.parent.with_name("said.txt")
    child = drill.run(log)
    time.sleep(moment)
    struck = os.waitpid(child, os.WNOHANG) == (0, 0)
    if not struck:
        return (None if drill.whole(drill.target) else "ended by itself without its output"), struck
    os.kill(child, blow)
    status = wait(child)
    if status is None:
        return "did not end", struck
    said = log.read_text(errors="replace")
    return judge(drill, blow, os.waitstatus_to_exitcode(status), said, overwrites), struck


def went_on(drill: Drill) -> bool:
    """Whether the last run began with what an earlier one had kept."""
    log = drill.target.parent.with_name("again.txt")
    return log.exists() and "going on after the" in log.read_text(errors="replace")


def judge(drill: Drill, blow: signal.Signals, code: int, said: str, overwrites: bool) -> str | None:
    folder, target = drill.target.parent, drill.target
    finished = target.exists() and target.read_bytes() != OLD
    if finished and not drill.whole(target):
        return "a torn output"
    if overwrites and not target.exists():
        return "the old output is gone"
    if blow is signal.SIGKILL:
        return None if code in (-signal.SIGKILL, 0) else f"exit code {code}"
    early = code == -blow or "<frozen site>" in said
    if early and "Error (" not in said and "selfhvd_cli" not in said:
        return None  # struck before the interpreter had begun with the command
    if code == -signal.SIGINT:
        code = 130  # Python's own end where the blow falls into an import; shells call both the same
    if code not in (130, 0):
        return f"exit code {code}\n{said[-600:]}"
    if "Traceback" in said or "defect" in said or (code and said.count("Error (") != 1):
        return f"not one message:\n{said[-900:]}"
    left = [path.name for path in folder.iterdir() if path != target and not path.name.endswith(drill.kept)]
    return f"left behind: {left}" if left and not finished else None


def finish(drill: Drill) -> tuple[int, str]:
    """Run the command to its end."""
    log = drill.target.parent.with_name("again.txt")
    status = wait(drill.run(log))
    return (-1 if status is None else os.waitstatus_to_exitcode(status)), log.read_text(errors="replace")


def wait(child: int) -> int | None:
    """The status of a process when it has ended; None, and the process killed, if it does not."""
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit:
        number, status = os.waitpid(child, os.WNOHANG)
        if number:
            return status
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


# -- the commands


def plays(path: Path) -> bool:
    """Whether a video has all its frames."""
    from tiny_clips import frame_times

    return path.exists() and path.read_bytes() != OLD and len(frame_times(path)) == 24


def loads(path: Path) -> bool:
    """Whether weights are whole."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), "pt") as file:
            return all(file.get_tensor(name) is not None for name in file.keys())  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError):
        return False


def _deblurring(folder: Path, *options: str) -> Drill:
    from tiny_clips import make_clip

    source = make_clip(folder / "clip.mp4", times=range(0, 24 * 20, 20))
    (folder / "out").mkdir()
    target = folder / "out" / "new.mp4"
    words = ["deblur", str(source), "-o", str(target), "-f", "--device", "cpu", "--offline", *options]
    return Drill(lambda log: start(words, log), target, plays)


@contextmanager
def _deblur(folder: Path) -> Iterator[Drill]:
    yield _deblurring(folder, "--window", "8")


@contextmanager
def _resume(folder: Path) -> Iterator[Drill]:
    from selfhvd_cli.deblurring import settings

    settings.SEGMENT = 4  # inherited by the runs, which are forks
    os.environ["SELFHVD_DATA_DIR"] = str(folder / "data")
    drill = _deblurring(folder, "--window", "8", "--preset", "ultrafast")
    yield replace(drill, kept=(".resume",), blows=2, exact=True)
    settings.SEGMENT = 120


@contextmanager
def _copy(folder: Path) -> Iterator[Drill]:
    yield _deblurring(folder, "--strength", "0")


@contextmanager
def _adapt(folder: Path) -> Iterator[Drill]:
    import made_clips

    import selfhvd_cli.adapt_network
    import selfhvd_cli.cli.adapt  # noqa: F401

    clip = made_clips.write_folder(folder / "clip", made_clips.shaken([0.0, 1.5, 2.0, 1.5] * 6, width=80, height=64))
    (folder / "out").mkdir()
    target = folder / "out" / "own.safetensors"
    words = (
        f"adapt {clip} -o {target} --steps 3 --flow dis --perceptual none --device cpu --precision fp32 --crop 64 "
        "--sequence 4 --batch 1 --patience 0 --offline"
    ).split()

    def whole(path: Path) -> bool:
        return path.exists() and loads(path)

    yield Drill(lambda log: start(words, log), target, whole, kept=("",))


@contextmanager
def _pull(folder: Path) -> Iterator[Drill]:
    import torch
    from safetensors.torch import save
    from weights_stand_ins import HubSite, Site, running

    hub = HubSite(cdn := Site())
    hub.publish("owner/repo", "model.safetensors", save({"a": torch.ones(300, 1000)}), pause=0.02)
    (folder / "out").mkdir()
    environment = {
        **os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(folder / "hf"),
        "SELFHVD_WEIGHTS_DIR": str(folder / "out"), "SELFHVD_DATA_DIR": str(folder / "data"),
        "NO_PROXY": "127.0.0.1,localhost",
    }  # fmt: skip

    def run(log: Path) -> int:
        words = [sys.executable, "-m", "selfhvd_cli", "weights", "pull", "hf://owner/repo/model.safetensors"]
        with log.open("wb") as said:
            return subprocess.Popen(words, stdout=said, stderr=said, env=environment).pid

    with running(hub, cdn):
        os.waitpid(run(folder / "first.txt"), 0)
        target = next((folder / "out").glob("*.safetensors"))
        yield Drill(run, target, lambda path: path.exists() and loads(path), kept=("",))


DRILLS: Mapping[str, Callable[[Path], AbstractContextManager[Drill]]] = {
    "deblur": _deblur,
    "resume": _resume,
    "copy": _copy,
    "adapt": _adapt,
    "pull": _pull,
}
"""What is struck; `copy` is deblur at strength 0."""


if __name__ == "__main__":
    main()
