"""Export of a clip's sharpest frames as pictures, upright, with date, place and camera."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from torch import Tensor

from selfhvd_cli.deblurring.span import expected_frames, span_of
from selfhvd_cli.errors import DiskFault, UsageFault
from selfhvd_cli.moments import LONGEST, Moment, as_moment
from selfhvd_cli.ops.orientation import upright
from selfhvd_cli.ops.sharpness import sharpness
from selfhvd_cli.ops.square_pixels import with_square_pixels
from selfhvd_cli.quality.exif import exif_bytes
from selfhvd_cli.quality.panels import as_codes
from selfhvd_cli.quality.side_file import check_joins_no_frames
from selfhvd_cli.steps import run_through
from selfhvd_cli.video.container import MUXERS
from selfhvd_cli.video.demuxing import packets_of
from selfhvd_cli.video.info import VideoInfo
from selfhvd_cli.video.opening import open_input
from selfhvd_cli.video.output_file import same_file
from selfhvd_cli.video.reader import UNREADABLE, open_reader

FORMATS = {"jpg": "jpeg", "png": "png"}
JPEG_QUALITY = 95

ENDINGS = {".jpg": "jpg", ".jpeg": "jpg", ".png": "png"}
"""Formats by the name of a file."""

OTHER_ENDINGS = frozenset((".avif", ".bmp", ".gif", ".heic", ".heif", ".tif", ".tiff", ".webp"))
"""Of pictures, too: who gives one expects a picture, and no folder of that name."""

COUNT = 3

APART = Fraction(1, 2)
"""Seconds between two exported frames, so that three pictures are not one picture three times."""


@dataclass(frozen=True)
class StillJob:
    """Which pictures to export, and where to."""

    source: Path
    target: Path | None = None
    """A folder, made where there is none, or a file for one picture: its ending tells. None is beside the clip."""

    count: int | None = None
    """Pictures at most; None is 1 for a file, else 3."""

    format: str | None = None
    """jpg or png; None is that of the file, else jpg."""

    apart: Fraction = APART
    """Seconds at least between two of them."""

    start: Moment | None = None
    duration: Moment | None = None
    overwrite: bool = False

    @property
    def file(self) -> Path | None:
        """The target, where it is a picture's and no folder."""
        named = self.target is not None and self.target.suffix.lower() in ENDINGS and not self.target.is_dir()
        return self.target if named else None

    @property
    def pictures(self) -> int:
        """Pictures at most."""
        return self.count or (COUNT if self.file is None else 1)

    @property
    def kind(self) -> str:
        """jpg or png."""
        if self.format is None and self.file is not None:
            return ENDINGS[self.file.suffix.lower()]
        return self.format or "jpg"


@dataclass(frozen=True)
class Still:
    """One exported picture."""

    path: Path

    frame: int
    """Number of the frame in the clip, from 0."""

    seconds: float
    """After the clip's first frame."""

    sharpness: float


@dataclass(frozen=True)
class StillProgress:
    """Where an export is."""

    done: int
    total: int | None
    stills: tuple[Still, ...] | None = None
    """With the last report, in the order of time."""


def still(
    source: str | Path,
    target: str | Path | None = None,
    *,
    count: int | None = None,
    format: str | None = None,
    apart: float | Fraction = APART,
    start: str | float | Moment | None = None,
    duration: str | float | Moment | None = None,
    overwrite: bool = False,
    on_progress: Callable[[StillProgress], None] | None = None,
) -> tuple[Still, ...]:
    """Export the sharpest frames; the twin of `selfhvd still`. Arguments: the fields of `StillJob`.

    Raises:
        UsageFault: a picture exists already, would join the clip's frames, or an argument makes no sense.
        InputFault: the clip cannot be read.
        DiskFault: a picture cannot be written.
    """
    if not 0 <= apart <= LONGEST:
        raise UsageFault(f"--apart {apart}: give the seconds between two pictures, 0 or more.")
    job = StillJob(
        source=Path(source),
        target=None if target is None else Path(target),
        count=count,
        format=format,
        apart=Fraction(apart),
        start=as_moment(start),
        duration=as_moment(duration),
        overwrite=overwrite,
    )
    return run_through(still_steps(job), lambda step: step.stills, on_progress)


def still_steps(job: StillJob) -> Generator[StillProgress, None, None]:
    """Do a job, reporting after every frame; the last report holds the pictures.

    The clip is read twice: scores are cheap to keep, frames are not.
    """
    _check(job)
    check_joins_no_frames(_target(job, 0), [job.source], "-o")
    span = span_of(job.source, job.start, job.duration)
    times: list[Fraction] = []
    scores: list[float] = []
    with open_reader(job.source, span.start, span.duration) as reader:
        info = reader.info
        total = expected_frames(info, span)
        for frame in reader:
            times.append(frame.time)
            scores.append(float(sharpness(frame.rgb().unsqueeze(0))[0]))
            yield StillProgress(len(scores), total)
        chosen = sharpest(scores, times, job.pictures, job.apart)
        skipped = _skipped(job, info, times[0])
        targets = {index: _target(job, skipped + index) for index in chosen}
        for path in targets.values():
            if path.exists() and not job.overwrite:
                raise UsageFault(
                    f"{path}: exists already; replace it with --overwrite, or name another place with -o."
                )
        done = []
        for frame in reader:
            target = targets.pop(frame.index, None)
            if target is not None:
                since = frame.time - info.start_time
                exif = exif_bytes(info.metadata, info.main_stream.metadata if info.streams else {}, since)
                shown = upright(with_square_pixels(frame.rgb(), info.sample_aspect_ratio), info.display_matrix)
                _write(target, shown, job.kind, exif)
                done.append(Still(target, skipped + frame.index, float(since), scores[frame.index]))
            if not targets:
                break
    yield StillProgress(len(scores), len(scores), tuple(done))


def sharpest(scores: list[float], times: list[Fraction], count: int, apart: Fraction) -> list[int]:
    """Numbers of the sharpest frames, no two closer in time than `apart` seconds, ascending."""
    chosen: list[int] = []
    for index in sorted(range(len(scores)), key=lambda index: -scores[index]):
        if len(chosen) == count:
            break
        if all(abs(times[index] - times[other]) >= apart for other in chosen):
            chosen.append(index)
    return sorted(chosen)


def _check(job: StillJob) -> None:
    """Refuse what makes no sense, before the clip is read."""
    if job.kind not in FORMATS:
        raise UsageFault(f"--format {job.format}: choose one of {', '.join(FORMATS)}.")
    if job.count is not None and job.count < 1:
        raise UsageFault(f"--count {job.count}: at least one picture.")
    if job.target is None or job.target.is_dir():
        return
    if same_file(job.target, job.source) or (job.target.exists() and job.file is None):
        raise UsageFault(f"{job.target}: is no place for a picture; name a folder, or a new .jpg or .png.")
    ending = job.target.suffix.lower()
    if ending in OTHER_ENDINGS:
        raise UsageFault(f"{job.target}: pictures are written as .jpg or .png; name it so.")
    if job.file is not None and job.pictures > 1:
        raise UsageFault(f"{job.target}: is one picture, and --count asks for {job.count}; name a folder for them.")
    if job.file is not None and job.kind != ENDINGS[ending]:
        raise UsageFault(f"{job.target}: its ending says {ENDINGS[ending]}, --format {job.format}; give one of them.")


def _skipped(job: StillJob, info: VideoInfo, first: Fraction) -> int:
    """Frames of the clip before the stretch, whose first frame is shown at `first` on the clip's clock.

    A picture is named by its number in the clip, so that the same frame has the same name whatever stretch it is
    found in. Packets are counted for that, which takes no decoding of what lies before; as far as they can be read.
    """
    if job.source.is_dir():
        return round(first * info.frame_rate)
    if job.start is None:
        return 0
    if job.start.unit == "f":
        return int(job.start.amount)
    begin, end = (int(time / info.time_base) for time in (info.start_time, first))
    skipped = 0
    with open_input(job.source) as container, suppress(*UNREADABLE):
        for packet in packets_of(container, [container.streams[info.stream_index]]):
            time = packet.dts if packet.pts is None else packet.pts
            skipped += time is not None and begin <= time < end
    return skipped


def _target(job: StillJob, number: int) -> Path:
    if job.file is not None:
        return job.file
    place = job.source
    if place.name in ("", ".", ".."):
        place = Path(os.path.abspath(place))  # they have a name and a place, too
    name = place.name if place.is_dir() else place.stem
    if not place.is_dir() and any(other != place and other.stem == name for other in _videos_beside(place)):
        name += f"-{place.suffix[1:]}"
    return (job.target or place.parent) / f"{name}_{number:05d}.{job.kind}"


def _videos_beside(place: Path) -> list[Path]:
    """The clips in its folder; two that differ in their ending alone need pictures of different names."""
    try:
        return [each for each in place.parent.iterdir() if each.suffix.lower() in MUXERS]
    except OSError:
        return []  # a folder that may be entered, not listed


def _write(target: Path, picture: Tensor, format: str, exif: bytes) -> None:
    from PIL import Image

    part = target.with_name(f".{target.name}.part")
    options = {"quality": JPEG_QUALITY, "subsampling": 0} if format == "jpg" else {}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(as_codes(picture)).save(part, FORMATS[format], exif=exif, **options)
        os.replace(part, target)
    except OSError as fault:
        part.unlink(missing_ok=True)
        raise DiskFault(f"{target}: cannot be written ({fault.strerror or fault}); choose another -o.") from fault
