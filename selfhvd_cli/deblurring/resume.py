"""Resume: a long run keeps its finished segments, and the same command goes on from them."""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType

from selfhvd_cli.deblurring import whereabouts
from selfhvd_cli.deblurring.job import DeblurJob
from selfhvd_cli.deblurring.kept import (
    Hold,
    Kept,
    Manifest,
    Segment,
    folder_for,
    folders_for,
    read_manifest,
    sound_segments,
    write_manifest,
)
from selfhvd_cli.deblurring.notes import KeptNotes, Note, NotesToKeep
from selfhvd_cli.deblurring.settings import difference, settings_of
from selfhvd_cli.durable import put_in_place
from selfhvd_cli.errors import DiskFault, UsageFault
from selfhvd_cli.quality.names import quoted
from selfhvd_cli.restore.guard import Verdict
from selfhvd_cli.restore.plan import Plan
from selfhvd_cli.video.contents import contents_bytes, contents_sha256
from selfhvd_cli.video.segments import Piece, SegmentFile, read_pieces
from selfhvd_cli.weights.verify import sha256_of

SPARE = 1.25
"""How much more room than its frames so far suggest an output shall find when segments are kept beside it."""


class Resume:
    """Keeps the segments of one job (a `video.segments.Keeper`), and finds those of an earlier run.

    A context manager: leaving it lets the folder go, and removes it where no segment was finished. `done` removes it
    for good.
    """

    def __init__(self, job: DeblurJob, weights: Path, encoder: str, total: int | None) -> None:
        """
        Args:
            weights: file of the network's weights.
            encoder: everything that must be alike for segments to make one stream.
            total: frames of the clip, as far as known.
        """
        self._job = job
        self._total = total
        settings = settings_of(job, sha256_of(weights))
        self.length = int(settings["segment"])
        self.kept = 0
        self._hold = Hold(folder_for(job.target, settings))
        self._source = _identity(job.source)
        self._manifest = Manifest(
            settings=settings,
            source=str(job.source.absolute()),
            source_bytes=0,
            source_sha256="",
            encoder=encoder,
            plan={},
            max_memory=job.max_memory,
            device="",
            length=self.length,
            total=total,
            updated=0.0,
            segments=(),
        )
        self._file: SegmentFile | None = None
        self._notes = NotesToKeep()
        self._kept_notes: KeptNotes | None = None
        self._stopped = False
        self._messages: deque[str] = deque()

    @property
    def plan(self) -> Plan | None:
        """Windows and tiles of the run that is continued, if there is one and memory is limited as then."""
        if not self.kept or self._manifest.max_memory != self._job.max_memory:
            return None
        return Plan(**self._manifest.plan)

    @property
    def so_far(self) -> Kept | None:
        """What another run would go on from."""
        manifest = self._manifest
        if not manifest.segments:
            return None
        return Kept(self._hold.folder, manifest.frames, self._total, manifest.bytes)

    def take_messages(self) -> tuple[str, ...]:
        """What a person should read, since the last call."""
        return tuple(self._messages.popleft() for _ in range(len(self._messages)))

    def __enter__(self) -> Resume:
        self._look_around()
        if self._hold.folder.is_dir():
            if not self._hold.take():
                raise UsageFault(
                    f"{self._job.target}: another selfhvd is at work on it; wait, or name another output with -o."
                )
            try:
                self._find()
            except BaseException:
                self._hold.let_go()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.drop()
            self._file = None
        if self._hold.is_ours and not self._manifest.segments:
            self._hold.remove()
        self._hold.let_go()

    def begin(self, plan: Plan, device: str) -> None:
        """The run begins, or goes on."""
        if self.kept and device != self._manifest.device:
            self._messages.append(f"the frames kept were made on {self._manifest.device}")
        self._manifest = replace(
            self._manifest, plan=asdict(plan), max_memory=self._job.max_memory, device=device, total=self._total
        )

    def note(self, frame: int, verdict: Verdict | None, events: tuple[str, ...]) -> None:
        """Remember what was done with a frame that is about to be written."""
        if not self._stopped:
            self._notes.add(frame, verdict, events)

    def noted(self, frame: int) -> Note:
        """What was done with a kept frame."""
        segment, place = divmod(frame, self.length)
        if self._kept_notes is None or self._kept_notes.path != self._path(segment):
            self._kept_notes = KeptNotes(self._path(segment))
        return self._kept_notes.of(place)

    def done(self) -> None:
        """The output is whole and in its place: nothing need be kept any more."""
        self._manifest = replace(self._manifest, segments=())
        if self._hold.is_ours:
            self._hold.remove()

    # ---- as a keeper --------------------------------------------------------------------------------------

    def pieces(self, segment: int) -> Iterator[Piece]:
        return read_pieces(self._path(segment))

    def add(self, piece: Piece) -> None:
        if self._stopped:
            return
        try:
            if self._file is None:
                self._begin_segment()
            if self._file is not None:
                self._file.add(piece)
        except (OSError, DiskFault) as fault:
            self._stop(f"segments are kept no further ({_reason(fault)})")

    def close_segment(self) -> None:
        if self._file is None:
            return
        file, self._file = self._file, None
        number = len(self._manifest.segments)
        try:
            if not self._manifest.source_sha256:
                self._hash_source()
            size, digest = file.finish(self._notes.take(number * self.length, self.length))
            path = self._path(number)
            put_in_place(file.path, path)
            segments = (*self._manifest.segments, Segment(path.name, size, digest))
            manifest = replace(self._manifest, segments=segments, updated=time.time())
            write_manifest(self._hold.folder, manifest)
        except OSError as fault:
            with suppress(OSError):
                file.drop()
            self._stop(f"segments are kept no further ({_reason(fault)})")
            return
        self._manifest = manifest

    # ---- the folder ---------------------------------------------------------------------------------------

    def _path(self, segment: int) -> Path:
        return self._hold.folder / f"{segment:05d}.segment"

    def _look_around(self) -> None:
        """Name what other runs to the same output keep."""
        for folder in folders_for(self._job.target):
            other = read_manifest(folder)
            if folder != self._hold.folder and other is not None and other.segments:
                differs = difference(other.settings, self._manifest.settings)
                clean = f"selfhvd jobs clean {quoted(self._job.target)}"
                self._messages.append(
                    f"{folder.name} keeps {other.frames} frames of an interrupted run with other settings "
                    f"({differs}); {clean} removes it"
                )

    def _find(self) -> None:
        """Take up what an earlier run kept, as far as it is sound and of the same making."""
        found = read_manifest(self._hold.folder)
        why = self._why_not(found)
        if found is None or why is not None:
            if found is not None and found.segments:
                self._messages.append(f"the {found.frames} frames kept of an interrupted run are of no use: {why}")
            found = None
        segments = () if found is None else sound_segments(self._hold.folder, found)
        self._hold.sweep(keep={segment.file for segment in segments})
        if found is None:
            return
        if len(segments) < len(found.segments):
            lost = found.frames - self.length * len(segments)
            self._messages.append(f"{lost} of the {found.frames} frames kept are damaged and made again")
        self._manifest = replace(found, segments=segments, total=self._total)
        self.kept = self._manifest.frames
        if self.kept:
            whereabouts.note(self._hold.folder)
            self._messages.append(f"going on after the {self.kept} frames kept of an interrupted run")

    def _why_not(self, found: Manifest | None) -> str | None:
        """Why segments cannot be taken over; None if they can."""
        if found is None:
            return "their list is damaged"
        if found.encoder != self._manifest.encoder or found.length != self.length:
            return "they are encoded otherwise"
        job = self._job
        if found.source_bytes != contents_bytes(job.source) or found.source_sha256 != contents_sha256(job.source):
            return f"{job.source.name} has changed since"
        try:
            Plan(**found.plan)
        except (TypeError, ValueError, UsageFault):
            return "their list is damaged"
        return None

    def _begin_segment(self) -> None:
        if not self._hold.is_ours:
            self._hold.folder.mkdir(exist_ok=True)
            if not self._hold.take():
                self._stop("another selfhvd is at work on the same output: nothing is kept")
                return
            write_manifest(self._hold.folder, replace(self._manifest, updated=time.time()))
            whereabouts.note(self._hold.folder)
        if not self._room():
            return
        self._file = SegmentFile(self._path(len(self._manifest.segments)).with_suffix(".part"))

    def _room(self) -> bool:
        """Whether the disk has room for the output and what is kept; else the output comes first."""
        manifest = self._manifest
        if not manifest.segments or self._total is None:
            return True
        frame = manifest.bytes / manifest.frames
        part = self._job.target.with_name(self._job.target.name + ".part")
        written = contents_bytes(part) if part.exists() else 0
        rest = SPARE * frame * self._total - written
        free = shutil.disk_usage(self._hold.folder).free
        if free >= rest + frame * self.length or free + manifest.bytes < rest:
            return True  # the latter: the output will not fit either, and another run can go on once there is room
        self._manifest = replace(manifest, segments=())
        self._hold.sweep(keep=set())
        self._stop("the disk is nearly full: what was kept made room for the output")
        return False

    def _hash_source(self) -> None:
        """Note what the input is, unless it has changed since the run began."""
        size, digest = contents_bytes(self._job.source), contents_sha256(self._job.source)
        if _identity(self._job.source) != self._source:
            raise OSError(f"{self._job.source.name} changes while it is read")
        self._manifest = replace(self._manifest, source_bytes=size, source_sha256=digest)

    def _stop(self, message: str) -> None:
        """Keep nothing more; what is kept stays."""
        self._stopped = True
        self._notes.clear()
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                file.drop()
        self._messages.append(message)


def _identity(source: Path) -> tuple[int, int]:
    """What changes when a file is written to."""
    status = source.stat()
    return status.st_size, status.st_mtime_ns


def _reason(fault: Exception) -> str:
    return str(fault.strerror or fault) if isinstance(fault, OSError) else str(fault)
