"""Kept: the folder beside an output that holds the finished segments of a run, and its manifest.

`clip_deblurred.mp4.1f2e3d4c.resume/` holds `manifest.json`, written anew after each segment, and `00000.segment` and
so on. The number stands for the settings. Only what the manifest names, with the size and hash it names, counts: a
segment is on the disk before the manifest speaks of it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfhvd_cli.deblurring import whereabouts
from selfhvd_cli.deblurring.settings import number_of, settings_of
from selfhvd_cli.durable import write_whole
from selfhvd_cli.errors import DiskFault
from selfhvd_cli.video.contents import contents_sha256
from selfhvd_cli.weights.lock import StoreLock
from selfhvd_cli.weights.verify import sha256_of

if TYPE_CHECKING:
    from selfhvd_cli.deblurring.job import DeblurJob

ENDING = ".resume"
MANIFEST = "manifest.json"
LOCK = "lock"
FORMAT = 1


@dataclass(frozen=True)
class Segment:
    """A finished segment."""

    file: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a run keeps, and what another run must have in common with it to go on from it."""

    settings: Mapping[str, Any]
    """All that changes the result, weights by their hash."""

    source: str
    """Path of the input, as an absolute one."""

    source_bytes: int
    source_sha256: str
    """Of its contents."""

    encoder: str
    """All that must be alike for segments to make one stream."""

    plan: Mapping[str, Any]
    """Windows and tiles: the same windows give the same frames."""

    max_memory: int | None
    """The limit the plan was chosen under."""

    device: str
    """Where the network ran, in words."""

    length: int
    """Frames of a segment."""

    total: int | None
    """Frames of the clip, as far as known."""

    updated: float
    """Seconds since 1970, by the clock of that machine."""

    segments: tuple[Segment, ...]

    @property
    def frames(self) -> int:
        """Frames that are kept."""
        return self.length * len(self.segments)

    @property
    def bytes(self) -> int:
        return sum(segment.bytes for segment in self.segments)


@dataclass(frozen=True)
class Kept:
    """What is kept of a run, for people."""

    folder: Path
    frames: int
    total: int | None
    bytes: int


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a folder; None where it is missing, damaged or of another version's form."""
    try:
        values = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if values.pop("format") != FORMAT:
            return None
        segments = tuple(Segment(**each) for each in values.pop("segments"))
        found = Manifest(segments=segments, **values)
        sound = found.length >= 2 and all(Path(each.file).name == each.file for each in segments)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return found if sound else None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest, whole or not at all.

    Raises:
        OSError: the disk could not take it.
    """
    words = json.dumps({"format": FORMAT, **asdict(manifest)}, indent=1)
    write_whole(folder / MANIFEST, words.encode())


def sound_segments(folder: Path, manifest: Manifest) -> tuple[Segment, ...]:
    """The segments from the first on that are as the manifest says."""
    sound: list[Segment] = []
    for segment in manifest.segments:
        path = folder / segment.file
        try:
            whole = path.stat().st_size == segment.bytes and contents_sha256(path) == segment.sha256
        except OSError:
            whole = False
        if not whole:
            break
        sound.append(segment)
    return tuple(sound)


def target_of(folder: Path) -> Path:
    """The output that a folder belongs to."""
    return folder.with_name(folder.name.removesuffix(ENDING).rpartition(".")[0])


def folders_for(target: Path) -> list[Path]:
    """The folders of an output's interrupted runs, whatever their settings."""
    if not target.parent.is_dir():
        return []
    found = [each for each in target.parent.iterdir() if each.name.endswith(ENDING) and target_of(each) == target]
    return sorted(each for each in found if each.is_dir())


def folder_for(target: Path, settings: Mapping[str, Any]) -> Path:
    """The folder of an output made with some settings."""
    return target.with_name(f"{target.name}.{number_of(settings)}{ENDING}")


def is_kept_folder(path: Path) -> bool:
    """Whether a folder is one of ours, so that it may be removed."""
    return path.name.endswith(ENDING) and path.is_dir() and not path.is_symlink() and (path / MANIFEST).is_file()


def kept_by(job: DeblurJob, weights: Path) -> Kept | None:
    """What an earlier run of a job keeps, by its own account."""
    folder = folder_for(job.target, settings_of(job, sha256_of(weights)))
    found = read_manifest(folder) if is_kept_folder(folder) else None
    if found is None or not found.segments:
        return None
    return Kept(folder, found.frames, found.total, found.bytes)


def as_it_is_now(kept: Kept) -> Kept | None:
    """The same by the folder's own account, once the run has ended."""
    found = read_manifest(kept.folder)
    if found is None or not found.segments:
        return None
    return Kept(kept.folder, found.frames, kept.total, found.bytes)


class Hold:
    """One process's hold on a folder of segments; the kernel frees that of a process that dies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.is_ours = False
        """Whether this process may change the folder."""

        self._lock: StoreLock | None = None

    def take(self) -> bool:
        """Try to hold the folder, which exists; False while another process does."""
        lock = StoreLock(self.folder / LOCK)
        try:
            if not lock.acquire(0):
                return False
            self._lock = lock
        except DiskFault:
            pass  # it takes no files: then nothing will be kept
        self.is_ours = True
        return True

    def let_go(self) -> None:
        """Leave the folder to others."""
        lock, self._lock = self._lock, None
        self.is_ours = False
        if lock is not None:
            lock.__exit__(None, None, None)

    def sweep(self, keep: set[str]) -> None:
        """Remove from the folder what nothing refers to."""
        with suppress(OSError):
            for path in self.folder.iterdir():
                if path.suffix in (".segment", ".part") and path.name not in keep:
                    path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Take the folder away, its manifest first: what is half gone must not look whole."""
        whereabouts.forget(self.folder)
        with suppress(OSError):
            (self.folder / MANIFEST).unlink(missing_ok=True)
        self.let_go()
        shutil.rmtree(self.folder, ignore_errors=True)
