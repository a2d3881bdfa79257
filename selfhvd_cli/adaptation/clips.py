"""Clips into shots: decode, cut at scene changes, keep 8-bit frames on disk, choose the sharp ones."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from selfhvd_cli.adaptation.job import AdaptJob, AdaptProgress
from selfhvd_cli.counting import counted
from selfhvd_cli.deblurring.span import expected_frames, span_of
from selfhvd_cli.errors import DiskFault, InputFault
from selfhvd_cli.ops.sharpness import sharpness
from selfhvd_cli.restore.memory import in_words
from selfhvd_cli.restore.scene_cuts import number_scenes
from selfhvd_cli.training.footage import Footage, Shot
from selfhvd_cli.training.inspection import ENOUGH, EVEN, FLAT
from selfhvd_cli.training.sharpness import SharpFrames, find_sharp_frames
from selfhvd_cli.video.contents import contents_sha256
from selfhvd_cli.video.frame import SourceFrame
from selfhvd_cli.video.info import VideoInfo
from selfhvd_cli.video.reader import open_reader

SHORTEST = 3
"""Frames of a shot that can teach anything: one sharp, one blurry, one for the held-out check."""

SMALLEST_SIDE = 64
"""Pixels that the smallest crop needs."""

MOST_DISK = 24 << 30
"""Bytes of decoded frames kept for one clip: a minute of 1080p and more."""

DISK_SHARE = 0.5
"""Of the free disk space that decoded frames may take."""

STRETCH = 90
"""Frames of one stretch, where a clip is too long to be kept whole and stretches all over it are taken."""


@dataclass(frozen=True)
class Material:
    """What one clip has to teach."""

    path: Path
    footage: Footage
    shots: tuple[Shot, ...]
    """Usable ones; may be empty."""

    scenes: int
    """Scenes found."""

    sha256: str
    """Of the clip's contents."""

    why_not: str = ""
    """Why there are no shots, in words."""


def gather(job: AdaptJob, segment: int) -> Generator[AdaptProgress, None, list[Material]]:
    """Decode all clips; yields progress, gives the materials.

    Raises:
        InputFault: a clip cannot be read, or nothing can be learned from any of them.
        DiskFault: there is no room for the decoded frames.
    """
    materials: list[Material] = []
    try:
        for number, path in enumerate(job.clips, start=1):
            title = f"{path.name} ({number} of {len(job.clips)})" if len(job.clips) > 1 else path.name
            material = yield from _decode(job, path, title, segment)
            materials.append(material)
            if material.why_not and len(job.clips) > 1:
                yield AdaptProgress("decode", warnings=(f"{path.name}: left out, for {material.why_not}",))
            elif 0 < len(material.shots) < material.scenes:
                left = f"{material.scenes - len(material.shots)} of {material.scenes} scenes left out"
                why = "they are too short, show no edges, or are equally sharp all along"
                yield AdaptProgress("decode", messages=(f"{path.name}: {left}, for {why}",))
        _require_enough(materials)
    except BaseException:
        for material in materials:
            material.footage.close()
        raise
    return materials


def _decode(job: AdaptJob, path: Path, title: str, segment: int) -> Generator[AdaptProgress, None, Material]:
    span = span_of(path, job.start, job.duration)
    with open_reader(path, span.start, span.duration) as reader:
        info, total = reader.info, expected_frames(reader.info, span)
        if min(info.width, info.height) < SMALLEST_SIDE:
            raise InputFault(
                f"{path}: {info.width}x{info.height} pixels are too few to learn from; "
                f"adaptation needs {SMALLEST_SIDE} a side. Run selfhvd deblur without adapting."
            )
        period = _period(info, total)
        notes = () if period is None else (f"{title}: too long to keep whole; {STRETCH} of {period} frames are used",)
        yield AdaptProgress("decode", 0, total, "frames", messages=notes)
        footage = Footage(info.height, info.width, _folder())
        scenes: list[tuple[int, list[float]]] = []
        last: tuple[int, int] | None = None
        try:
            for scene, frame in number_scenes(reader, _coarse):
                stretch = 0 if period is None else frame.index // period
                if period is None or frame.index % period < STRETCH:
                    picture = frame.rgb()
                    if last != (scene, stretch):
                        scenes.append((len(footage), []))
                        last = (scene, stretch)
                    scenes[-1][1].append(float(sharpness(picture.unsqueeze(0))[0]))
                    footage.append(picture)
                frame.forget()
                done = frame.index + 1
                yield AdaptProgress("decode", done, None if total is None else max(total, done), "frames")
        except OSError as fault:
            footage.close()
            raise DiskFault(
                f"{path}: no room for its decoded frames in {_folder()} ({fault}); "
                "free some space, take less of the clip with --duration, or set TMPDIR to a larger disk."
            ) from fault
        except BaseException:
            footage.close()
            raise
    shots = [Shot(footage, first, find_sharp_frames(scores, segment)) for first, scores in scenes]
    usable = tuple(shot for shot in shots if why_useless(shot) == "")
    why = "" if usable else _reason(shots)
    return Material(path, footage, usable, len(scenes), contents_sha256(path), why)


def why_useless(shot: Shot) -> str:
    """Why nothing can be learned from a shot, in words; empty where something can."""
    if len(shot) < SHORTEST:
        return f"it has {counted(len(shot), 'frame')}, and learning needs at least {SHORTEST}"
    if max(shot.sharp.scores) < FLAT:
        return "it shows nothing with edges (black, fog, or a covered lens)"
    share = contrast(shot.sharp)
    if share > EVEN:
        return (
            f"its frames are equally sharp (the blurriest half keeps {share:.0%} of the sharpness of the others), "
            "so none can teach another"
        )
    if not shot.blurry:
        return (
            f"each of its {len(shot)} frames is sharp or the sharpest of a segment of {shot.sharp.segment} frames, "
            "so none is left to be taught"
        )
    return ""


def contrast(sharp: SharpFrames) -> float:
    """Mean S of the frames below the threshold, as a share of those above it; 1 where all are alike."""
    above = set(sharp.above)
    high = [sharp.scores[index] for index in above]
    low = [score for index, score in enumerate(sharp.scores) if index not in above]
    return statistics.fmean(low) / statistics.fmean(high) if high and low else 1.0


def _require_enough(materials: list[Material]) -> None:
    shots = [shot for material in materials for shot in material.shots]
    if not shots:
        first = materials[0]
        others = ", and the other clips are no better" if len(materials) > 1 else ""
        raise InputFault(
            f"{first.path}: nothing to learn here, for {first.why_not}{others}. "
            f"Run selfhvd deblur without adapting; selfhvd inspect shows each frame's sharpness."
        )
    found = sum(len(shot.sharp.above) for shot in shots)
    if found < ENOUGH and sum(len(shot) for shot in shots) < 4 * ENOUGH:
        raise InputFault(
            f"{materials[0].path}: {counted(found, 'sharp frame')} found, adaptation needs {ENOUGH}; take more of "
            "the clip, add other clips from the same phone, or run selfhvd deblur without adapting."
        )


def _reason(shots: list[Shot]) -> str:
    """Why a clip has no usable shot."""
    if len(shots) > 1 and max(len(shot) for shot in shots) < SHORTEST:
        return f"it is cut into {len(shots)} scenes of at most {max(len(shot) for shot in shots)} frames"
    return why_useless(max(shots, key=len))


def _period(info: VideoInfo, total: int | None) -> int | None:
    """Every how many frames a stretch begins, or None where the whole clip fits on disk."""
    room = min(MOST_DISK, int(DISK_SHARE * shutil.disk_usage(_folder()).free))
    size = 3 * info.width * info.height
    if room < STRETCH * size:
        raise DiskFault(
            f"{_folder()}: {in_words(room)} may be used for decoded frames, {in_words(STRETCH * size)} are needed; "
            "free some space, or set TMPDIR to a larger disk."
        )
    if total is None or total * size <= room:
        return None
    return max(STRETCH + 1, -(-STRETCH * total * size // room))


def _coarse(frame: SourceFrame) -> Tensor:
    picture = frame.rgb()
    step = max(1, min(picture.shape[-2:]) // 200)
    return picture[:, ::step, ::step].contiguous()


def _folder() -> Path:
    return Path(tempfile.gettempdir())
