"""Synth: folders of blurry/sharp frame pairs from photographs (hand shake) or from sharp video (GoProShake)."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from selfhvd_cli.errors import DiskFault, InputFault, UsageFault
from selfhvd_cli.synthesis.clips import SHARP_EXTENT, draw_clip
from selfhvd_cli.synthesis.gopro_shake import GoProShakeConfig, synthesise
from selfhvd_cli.synthesis.photographs import photographs_of
from selfhvd_cli.synthesis.pool import read_photos
from selfhvd_cli.synthesis.recorded_shake import RotationLog, read_rotation_log
from selfhvd_cli.synthesis.windows import Bytes
from selfhvd_cli.video.opening import require_readable
from selfhvd_cli.video.output_file import same_file
from selfhvd_cli.video.reader import open_reader

FRAMES, SIZE = 30, (720, 1280)
"""Of a clip from photographs, where nothing else is asked for: frames; height and width."""

CONTENTS = {"blurry", "sharp", "flow", "clip.json"}
"""Of a clip's folder."""


@dataclass(frozen=True)
class SynthReport:
    """One finished frame."""

    clip: str
    """Folder of the clip, below the output."""

    frame: int
    """Number of the frame, from 0."""

    frames: int | None
    """Frames in the clip; None where that is not known beforehand."""

    sharp: bool
    """Whether the recorded frame counts as sharp."""


@dataclass(frozen=True)
class SynthClip:
    """One finished clip."""

    folder: Path
    frames: int
    sharp: int
    """How many of them count as sharp."""


def synth(
    source: str | Path,
    target: str | Path,
    *,
    clips: int | None = None,
    frames: int | None = None,
    size: tuple[int, int] | None = None,
    seed: int = 0,
    severity: float | None = None,
    night: bool | None = None,
    flow: bool | None = None,
    motion: str | Path | None = None,
    overwrite: bool = False,
    on_progress: Callable[[SynthReport], object] | None = None,
) -> tuple[SynthClip, ...]:
    """Make blurry/sharp pairs; the twin of `selfhvd synth`. What is made of what, and the faults: `synth_steps`."""
    source, target = Path(source), Path(target)
    made: dict[str, list[bool]] = {}
    steps = synth_steps(
        source, target, clips=clips, frames=frames, size=size, seed=seed, severity=severity, night=night, flow=flow,
        motion=None if motion is None else Path(motion), overwrite=overwrite,
    )  # fmt: skip
    with closing(steps):
        for report in steps:
            made.setdefault(report.clip, []).append(report.sharp)
            if on_progress is not None:
                on_progress(report)
    return tuple(SynthClip(target / clip, len(kinds), sum(kinds)) for clip, kinds in made.items())


def synth_steps(
    source: Path,
    target: Path,
    *,
    clips: int | None = None,
    frames: int | None = None,
    size: tuple[int, int] | None = None,
    seed: int = 0,
    severity: float | None = None,
    night: bool | None = None,
    flow: bool | None = None,
    motion: Path | None = None,
    overwrite: bool = False,
) -> Generator[SynthReport, None, None]:
    """Write `target/<clip>/{blurry,sharp}/000000.png`, exact flow to the next frame, and `clip.json`.

    A photograph or a folder of photographs gives clips of hand shake; a video or a folder of numbered frames is
    averaged as in the paper's GoProShake, without flow. A clip's folder appears when it is complete. One
    report a frame.

    Args:
        source: photograph, folder of photographs, sharp video, or folder of numbered sharp frames, see
            `is_video_in_frames`.
        target: folder to make.
        seed: source of all randomness.
        overwrite: whether clips of the same names are replaced.
        clips: clips to make from photographs; this and what follows cannot be asked of a video. One where None.
        frames: frames in each; `FRAMES` where None.
        size: height and width of each; `SIZE` where None.
        severity: 90th percentile of the blur's length in pixels; drawn for each clip where None.
        night: force noisy (True) or quiet (False) clips.
        motion: log of a phone's rotations (`read_rotation_log`) to shake photographs by, instead of a drawn hand.
        flow: whether to write `flow/000000.npz` (`flow` `[H, W, 2]` float16, to the next frame); None does.

    Raises:
        InputFault: nothing usable at `source`, or in the log.
        UsageFault: `target` holds a clip of that name already and `overwrite` is off, or something that is no clip;
            the clips would replace or join what they are made from; or a video cannot be asked for what is.
        DiskFault: a file could not be written.
    """
    require_readable(source)
    photos = photographs_of(source)
    if not photos:
        asked = {"clips": clips, "frames": frames, "size": size, "severity": severity, "noise": night}
        _refuse_for_video(source, asked | {"motion": motion, "flow": flow or None})
        whole = Path(os.path.abspath(source))  # "." and ".." have a name, too
        folder = target / (whole.name if whole.is_dir() else whole.stem)
        _check_place(folder, (source,), overwrite)
        yield from _from_video(source, folder)
        return
    clips, frames, size = 1 if clips is None else clips, FRAMES if frames is None else frames, size or SIZE
    if min(size) < 64 or clips < 1 or frames < 2 or seed < 0:
        raise UsageFault(
            f"need clips >= 1, frames >= 2, sides >= 64 and seed >= 0; got {clips}, {frames}, {size} and {seed}."
        )
    folders = [target / f"clip_{number:03d}" for number in range(clips)]
    if source.is_dir() and _within(target, source):
        raise UsageFault(
            f"{target}: lies in {source}, whose photographs its pictures would join; choose another folder with -o."
        )
    for folder in folders:
        _check_place(folder, (source, *photos, *([] if motion is None else [motion])), overwrite)
    log = None if motion is None else read_rotation_log(motion)
    for number, folder in enumerate(folders):
        yield from _from_photos(
            photos, folder, frames, size, (seed, number), severity, night, flow is not False, log
        )  # fmt: skip


def _refuse_for_video(source: Path, asked: dict[str, object]) -> None:
    names = [f"--{name}" for name, value in asked.items() if value is not None]
    if names:
        raise UsageFault(
            f"{', '.join(names)}: for clips filmed from photographs, and {source} is a video, whose own size, frames "
            "and movement are used; ask for none of this, or name a photograph or an album."
        )


def _from_photos(
    photos: list[Path],
    folder: Path,
    frames: int,
    size: tuple[int, int],
    seed: tuple[int, int],
    severity: float | None,
    night: bool | None,
    flow: bool,
    motion: RotationLog | None,
) -> Iterator[SynthReport]:
    rng = np.random.default_rng(seed)
    chosen = [photos[int(i)] for i in rng.permutation(len(photos))[:3]]
    drawn = int(rng.integers(2**31))
    clip = draw_clip(read_photos(chosen), size, frames, drawn, severity=severity, night=night, motion=motion)
    part = _begin(folder, ("blurry", "sharp", "flow") if flow else ("blurry", "sharp"))
    extents = clip.extents()
    for number in range(frames):
        frame = clip.frame(number)
        _write(part / "blurry" / f"{number:06d}.png", frame.blurry)
        _write(part / "sharp" / f"{number:06d}.png", frame.sharp)
        if flow and number + 1 < frames:
            np.savez_compressed(
                part / "flow" / f"{number:06d}.npz", flow=clip.flow(number, number + 1).astype(np.float16)
            )
        yield SynthReport(folder.name, number, frames, extents[number] <= SHARP_EXTENT)
    camera = clip.renderer.camera
    _finish(
        part,
        folder,
        {
            "photographs": [path.name for path in chosen],
            "motion": None if motion is None else motion.name,
            "frame_interval": camera.frame_interval,
            "exposure": camera.exposure,
            "readout": camera.readout,
            "sensor": vars(clip.sensor),
            "blur_length_px": [round(extent, 3) for extent in extents],
            "sharp": [extent <= SHARP_EXTENT for extent in extents],
        },
    )


def _from_video(source: Path, folder: Path) -> Iterator[SynthReport]:
    fresh = not folder.parent.exists()
    part = _begin(folder, ("blurry", "sharp"))
    averaged: list[int] = []
    for number, pair in enumerate(synthesise(_Video(source))):
        _write(part / "blurry" / f"{number:06d}.png", pair.blurry)
        _write(part / "sharp" / f"{number:06d}.png", pair.sharp)
        averaged.append(pair.frames)
        yield SynthReport(folder.name, number, None, pair.frames == 1)
    if not averaged:
        shutil.rmtree(part)
        if fresh:
            folder.parent.rmdir()
        raise InputFault(
            f"{source}: too few frames, GoProShake needs at least {GoProShakeConfig().window}; take a longer video. "
            "Photographs that are numbered like one: give them other names, or name a single one."
        )
    _finish(part, folder, {"video": source.name, "averaged_frames": averaged, "sharp": [n == 1 for n in averaged]})


@dataclass(frozen=True)
class _Video:
    """The frames of a video, `[H, W, 3]`, decoded whenever they are gone through: held, a minute fills the memory."""

    source: Path

    def __iter__(self) -> Iterator[Bytes]:
        with open_reader(self.source) as reader:
            for frame in reader:
                yield (frame.rgb() * 255.0).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()


def _check_place(folder: Path, inputs: Iterable[Path], overwrite: bool) -> None:
    """Refuse a clip's folder whose making would cost anything but an earlier clip.

    Raises:
        UsageFault: it exists and `overwrite` is off; it, or its `.part`, is an input or holds one; or what is there
            is no clip.
    """
    part = _part_of(folder)
    for source in inputs:
        if _within(source, folder) or _within(source, part):
            raise UsageFault(
                f"{folder}: the clip would replace {source}, which it is made from; choose another folder with -o."
            )
    if folder.exists() and not overwrite:
        raise UsageFault(f"{folder}: exists already; choose another folder, or add --overwrite.")
    if os.path.lexists(folder) and not (folder / "clip.json").is_file():
        raise UsageFault(f"{folder}: is no clip of an earlier run, so it is not replaced; choose another folder.")
    if os.path.lexists(part) and (not part.is_dir() or {each.name for each in part.iterdir()} - CONTENTS):
        raise UsageFault(
            f"{part}: is in the way, and no clip that an earlier run left; move it, or choose another -o."
        )


def _within(inner: Path, outer: Path) -> bool:
    """Whether `inner` is `outer`, or lies below it; through links, and where the disk takes A for a, too."""
    inner, outer = inner.resolve(), outer.resolve()
    return any(same_file(place, outer) for place in (inner, *inner.parents))


def _part_of(folder: Path) -> Path:
    return folder.with_name(folder.name + ".part")


def _begin(folder: Path, kinds: tuple[str, ...]) -> Path:
    part = _part_of(folder)
    try:
        shutil.rmtree(part, ignore_errors=True)
        for kind in kinds:
            (part / kind).mkdir(parents=True)
    except OSError as fault:
        raise DiskFault(f"{part}: cannot be made ({fault.strerror}); choose another output folder.") from fault
    return part


def _write(path: Path, picture: Bytes) -> None:
    ok, data = cv2.imencode(".png", picture[:, :, ::-1])
    assert ok
    try:
        path.write_bytes(data.tobytes())
    except OSError as fault:
        raise DiskFault(f"{path}: cannot be written ({fault.strerror}); free some space.") from fault


def _finish(part: Path, folder: Path, facts: dict[str, object]) -> None:
    (part / "clip.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    if folder.exists():
        shutil.rmtree(folder)
    os.replace(part, folder)
