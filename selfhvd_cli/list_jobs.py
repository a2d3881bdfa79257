"""Jobs: the interrupted runs that could go on, what they keep, and clearing that away."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from selfhvd_cli.deblurring.kept import ENDING, Hold, Manifest, is_kept_folder, read_manifest, target_of
from selfhvd_cli.deblurring.whereabouts import forget, noted
from selfhvd_cli.durable import lock
from selfhvd_cli.errors import UsageFault
from selfhvd_cli.video.contents import contents_bytes
from selfhvd_cli.weights.locate import adapted_folder

CHECKPOINT = ".safetensors.checkpoint"
"""Ends the name of what an interrupted adaptation goes on from."""

LARGEST_LOG = 8 << 20
"""Bytes from the end of a training log that are read for its last step."""

State = Literal["interrupted", "running", "finished", "input gone", "input changed", "damaged"]

USELESS: tuple[State, ...] = ("finished", "damaged", "input gone", "input changed")
"""Of jobs that cannot go on as things are."""


@dataclass(frozen=True)
class UnfinishedJob:
    """A run that was cut off, or is still going."""

    command: Literal["deblur", "adapt"]

    output: Path
    """What it was to write."""

    source: Path | None
    """Its input; None where that is not noted."""

    kept: Path
    """Folder or file that the same command goes on from."""

    done: int | None
    """Frames or steps that are kept; None where that is not noted."""

    total: int | None
    unit: str
    """What is counted."""

    bytes: int
    """What is kept takes so much of the disk."""

    age: float
    """Seconds since something was kept last; 0 where the clock was set back since."""

    state: State
    """Only an interrupted one can go on; one whose input is gone may once that is back."""


def jobs(folders: str | Path | Sequence[str | Path] = ()) -> list[UnfinishedJob]:
    """The jobs known on this machine, or those in one or more folders and below; newest first.

    Jobs that another machine began are found in the folder of their outputs.

    Raises:
        UsageFault: a folder is none.
    """
    listed = [folders] if isinstance(folders, (str, Path)) else folders
    if listed:
        found = [job for folder in listed for job in _below(Path(folder))]
    else:
        kept = {folder.absolute(): None for folder in [*noted(), *_kept_in(Path())]}
        found = [_deblur_job(folder) for folder in kept if is_kept_folder(folder)]
        found += [_adapt_job(path) for path in _files_below(adapted_folder(), "*" + CHECKPOINT)]
    return sorted(found, key=lambda job: job.age)


def clean_jobs(
    outputs: Sequence[Path] = (), *, everything: bool = False, older: float | None = None, dry_run: bool = False
) -> Iterator[UnfinishedJob]:
    """Remove what interrupted runs keep; gives each job that was removed.

    Without arguments those that nothing need or can go on from: finished and damaged ones, and those whose input is
    gone or has changed.
    A running one is never touched.

    Args:
        outputs: remove what is kept for these, whatever its state.
        everything: remove all.
        older: remove all that are older, in seconds.
        dry_run: remove nothing.

    Raises:
        UsageFault: nothing is kept for one of `outputs`, or it is running.
    """
    known = jobs()
    for output in outputs:
        place = output.absolute()
        known += [job for job in _beside(place) if job.kept not in {other.kept for other in known}]
        mine = [job for job in known if place in (job.output, job.kept)]
        if not mine:
            raise UsageFault(f"{output}: nothing is kept for it; selfhvd jobs list shows what is.")
        if any(job.state == "running" for job in mine):
            raise UsageFault(f"{output}: selfhvd is at work on it; stop that first, with Ctrl-C.")
    wanted = {output.absolute() for output in outputs}
    for job in known:
        named = bool(wanted & {job.output, job.kept})
        useless = not outputs and older is None and (job.state in USELESS or job.done == 0)
        if job.state == "running":
            continue
        if named or everything or useless or (older is not None and job.age > older):
            if not dry_run:
                _remove(job)
            yield job
    if not dry_run and not outputs:
        for folder in noted():
            if not folder.exists() and folder.parent.is_dir():
                forget(folder)


def _remove(job: UnfinishedJob) -> None:
    if job.command == "adapt":
        job.kept.unlink(missing_ok=True)
        return
    hold = Hold(job.kept)
    if is_kept_folder(job.kept) and hold.take():
        hold.remove()


def _below(folder: Path) -> Iterator[UnfinishedJob]:
    if not folder.is_dir():
        raise UsageFault(f"{folder}: no such folder.")
    for path in _files_below(folder.absolute(), "*" + ENDING):
        if is_kept_folder(path):
            yield _deblur_job(path)
    for path in _files_below(folder.absolute(), "*" + CHECKPOINT):
        yield _adapt_job(path)


def _beside(output: Path) -> Iterator[UnfinishedJob]:
    """Jobs for one output, by looking where it is."""
    for folder in _kept_in(output.parent):
        if output in (folder, target_of(folder)):
            yield _deblur_job(folder)
    for path in (output, output.with_name(output.name + ".checkpoint")):
        if path.name.endswith(CHECKPOINT) and path.is_file():
            yield _adapt_job(path)


def _kept_in(folder: Path) -> list[Path]:
    with suppress(OSError):
        return [each.absolute() for each in sorted(folder.iterdir()) if is_kept_folder(each)]
    return []


def _files_below(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.rglob(pattern)) if folder.is_dir() else []


def _deblur_job(folder: Path) -> UnfinishedJob:
    manifest = read_manifest(folder)
    return UnfinishedJob(
        command="deblur",
        output=target_of(folder),
        source=Path(manifest.source) if manifest else None,
        kept=folder,
        done=manifest.frames if manifest else None,
        total=manifest.total if manifest else None,
        unit="frames",
        bytes=contents_bytes(folder),
        age=max(0.0, time.time() - (manifest.updated if manifest else folder.stat().st_mtime)),
        state=_state(folder, manifest),
    )


def _state(folder: Path, manifest: Manifest | None) -> State:
    hold = Hold(folder)
    if not hold.take():
        return "running"
    hold.let_go()
    if manifest is None:
        return "damaged"
    with suppress(OSError):
        # The output was put in its place later: killed just then, the run could not clear away behind itself.
        if target_of(folder).stat().st_ctime > manifest.updated:
            return "finished"
    source = Path(manifest.source)
    beside = folder.parent / source.name  # where it is after both were moved
    places = [place for place in (source, beside) if place.exists()]
    if not places:
        return "input gone"
    if manifest.segments and all(contents_bytes(place) != manifest.source_bytes for place in places):
        return "input changed"
    return "interrupted"


def _adapt_job(path: Path) -> UnfinishedJob:
    weights = path.with_name(path.name.removesuffix(".checkpoint"))
    log = weights.with_suffix(".log.jsonl")
    status = path.stat()
    return UnfinishedJob(
        command="adapt",
        output=weights,
        source=None,
        kept=path,
        done=_last_step(log),
        total=None,
        unit="steps",
        bytes=status.st_size,
        age=max(0.0, time.time() - status.st_mtime),
        state="running" if _is_written(log) else "interrupted",
    )


def _is_written(log: Path) -> bool:
    """Whether an adaptation writes this log: it holds it to its end."""
    with suppress(OSError), log.open("rb") as file:
        return not lock(file.fileno())
    return False


def _last_step(log: Path) -> int | None:
    """The last step that a training log tells of."""
    with suppress(OSError, ValueError, LookupError, TypeError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LARGEST_LOG))
        return int(json.loads(file.read().splitlines()[-1])["step"])
    return None
