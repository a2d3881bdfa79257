"""Batch: which clips the inputs mean, and where the result of each goes; decided before any work."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from selfhvd_cli.deblurring.job import SUFFIX, TASTE, default_target
from selfhvd_cli.errors import DiskFault, InputFault, UsageFault
from selfhvd_cli.video.container import MUXERS
from selfhvd_cli.video.pictures.frame_paths import is_frames_folder

OTHER_ENDINGS = (".3g2", ".mpg", ".mpeg", ".wmv", ".flv", ".ogv", ".mxf")
"""Of containers that are read, and not written."""

VIDEO_ENDINGS = frozenset((*MUXERS, *OTHER_ENDINGS))
"""Files in a folder that are taken for clips; a file that is named itself may end in anything."""


@dataclass(frozen=True)
class Pair:
    """One clip and the place of its result."""

    source: Path
    """A video file, or a folder of numbered frames."""

    target: Path
    """The same, to be written."""

    makes_folder: bool = False
    """Whether the target's folder may be made: the user asked for a folder, not for a file in one."""

    def check_folder(self) -> None:
        """See whether `make_folder` would succeed, as far as permissions tell.

        Raises:
            DiskFault: it would not.
        """
        if self.makes_folder:
            check_folder(self.target.parent, "-o")

    def make_folder(self) -> list[Path]:
        """Make the target's folder if need be; gives the folders that were made, the innermost first.

        Raises:
            DiskFault: it cannot be made.
        """
        if not self.makes_folder:
            return []
        made = [each for each in (self.target.parent, *self.target.parent.parents) if not each.exists()]
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            reason = fault.strerror or fault
            raise DiskFault(f"{self.target.parent}: cannot be made ({reason}); give another -o.") from fault
        return made

    @contextmanager
    def folder(self) -> Iterator[None]:
        """The target's folder, made if need be; taken away again where the run fails and nothing else is in it.

        Raises:
            DiskFault: it cannot be made.
        """
        made = self.make_folder()
        try:
            yield
        except BaseException:
            remove_empty(made)
            raise


def check_folder(folder: Path, option: str) -> None:
    """See whether a folder is there or could be made, and may be written to, as far as permissions tell.

    Args:
        option: that names it, for the message.

    Raises:
        DiskFault: it could not.
    """
    above = next((each for each in (folder, *folder.parents) if each.exists()), Path())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        reason = "no permission" if above.is_dir() else f"{above} is a file"
        raise DiskFault(f"{folder}: cannot be made or written to ({reason}); give another {option}.")


def remove_empty(folders: Iterable[Path]) -> None:
    """Take folders away again that were made for results and hold none."""
    for each in sorted(folders, key=lambda folder: len(folder.parts), reverse=True):
        with suppress(OSError):
            each.rmdir()


@dataclass(frozen=True)
class Batch:
    """All that one command line asks for."""

    pairs: tuple[Pair, ...]
    """In the order given, folders by name."""

    skipped: tuple[Path, ...]
    """Inputs left aside because they are results or tastes, or have theirs already."""


def plan_batch(inputs: Sequence[Path], output: str | None) -> Batch:
    """Pair every clip that the inputs mean with its target.

    A file is a clip, and so is a folder of numbered frames. Any other folder stands for the clips in it and in its
    subfolders; its results go to `<folder>_deblurred/` (or the output folder) with the same subfolders and names.

    Args:
        inputs: files and folders.
        output: a file, for one clip; or a folder, which exists or ends in a slash. None is beside the input.

    Raises:
        UsageFault: the output is a file and there are several clips, or two clips have the same target.
        InputFault: a folder holds no clips, or of several inputs one does not exist.
    """
    folder = output is not None and means_folder(output)
    pairs: list[Pair] = []
    skipped: list[Path] = []
    for source in inputs:
        # What may not be looked at is no folder here: it fails by itself where it is read.
        if os.path.isdir(source) and not _is_frames_clip(source):
            found, results = _clips_below(source)
            skipped += results
            root = Path(output) if output is not None else default_target(source)
            if output is not None and not folder and (found or output.lower().endswith(tuple(VIDEO_ENDINGS))):
                raise UsageFault(
                    f"-o {output}: {source} is a folder of clips; end the output in / to make it one too."
                )
            pairs += [Pair(clip, root / clip.relative_to(source), makes_folder=True) for clip in found]
        elif (_is_result(source) and output is None) or (len(inputs) > 1 and _is_made(source)):
            skipped.append(source)
        else:
            pairs.append(Pair(source, _target(source, output, folder), makes_folder=folder))
    _check_targets(pairs, output, folder)
    if len(inputs) > 1:
        _check_existence(inputs, output)
    if not pairs and skipped:
        raise UsageFault(
            f"{skipped[0]}: seems by its name to be a result already; name it alone and give -o to go on."
        )
    return Batch(tuple(pairs), tuple(skipped))


def without_existing(batch: Batch) -> Batch:
    """The batch less the clips whose target exists (`--skip-existing`)."""
    existing = tuple(pair for pair in batch.pairs if os.path.lexists(pair.target))
    left = tuple(pair for pair in batch.pairs if pair not in existing)
    return Batch(left, (*batch.skipped, *(pair.source for pair in existing)))


def check_inputs_stay(batch: Batch) -> None:
    """Refuse a target that is the input of another pair: replacing it would cost a clip that is yet to be read.

    Raises:
        UsageFault: there is one; also through links.
    """
    sources = {_identity(pair.source): pair.source for pair in batch.pairs}
    for pair in batch.pairs:
        other = sources.get(_identity(pair.target))
        if other is not None and other != pair.source:
            raise UsageFault(
                f"{pair.target}: the result of {pair.source} would take the place of this, which is an input, too; "
                "name another output with -o."
            )


def _identity(path: Path) -> tuple[int, int] | str:
    """What is the same for all names of one file or folder."""
    try:
        status = os.stat(path)
    except OSError:
        return os.path.abspath(path)
    return status.st_dev, status.st_ino


def _check_existence(inputs: Sequence[Path], output: str | None) -> None:
    """Refuse names that mean nothing now, and not when the clips before them are done."""
    for source in inputs:
        try:
            source.stat()
        except (FileNotFoundError, NotADirectoryError):
            hint = "check the name."
            if source is inputs[-1] and output is None and source.suffix.lower() in VIDEO_ENDINGS:
                hint = f"did you mean -o {source}?" if len(inputs) == 2 else "results go where -o FOLDER/ says."
            raise InputFault(f"{source}: no such file or folder; {hint}") from None
        except OSError:
            pass  # what is wrong with it is said where it is read, and the others go on


def _target(source: Path, output: str | None, folder: bool) -> Path:
    if output is None:
        return default_target(source)
    return Path(output) / default_target(source).name if folder else Path(output)


def means_folder(output: str) -> bool:
    """Whether what the user names is a folder for results, and no file: it exists or ends in a slash."""
    return output.endswith(("/", os.sep)) or Path(output).is_dir()


def _is_result(path: Path) -> bool:
    return path.stem.endswith(SUFFIX)


def _is_made(path: Path) -> bool:
    return _is_result(path) or _is_taste(path)


def _is_taste(path: Path) -> bool:
    """Whether a file is what `--taste` made of a clip beside it."""
    if not path.name.endswith(f"{TASTE}.mp4"):
        return False
    stem = path.stem.removesuffix(TASTE)
    with suppress(OSError):
        return any(
            each.name == stem or (each.stem == stem and each.suffix.lower() in VIDEO_ENDINGS)
            for each in path.parent.iterdir()
        )
    return False


def _is_frames_clip(folder: Path) -> bool:
    """Whether a folder is one clip; photographs among videos do not make it one."""
    if not is_frames_folder(folder):
        return False
    return not any(each.suffix.lower() in VIDEO_ENDINGS for each in folder.iterdir())


def _clips_below(folder: Path) -> tuple[list[Path], list[Path]]:
    """Clips in a folder and its subfolders, and those left aside as results; hidden files are passed by."""
    clips: list[Path] = []
    results: list[Path] = []
    for place, names, files in os.walk(folder):
        inside = Path(place)
        for name in sorted(names):
            if name.startswith("."):
                names.remove(name)
            elif name.endswith(SUFFIX):
                results.append(inside / name)
                names.remove(name)
            elif _is_frames_clip(inside / name):
                clips.append(inside / name)
                names.remove(name)
        names.sort()
        for name in sorted(files):
            if name.startswith(".") or Path(name).suffix.lower() not in VIDEO_ENDINGS:
                continue
            (results if _is_made(inside / name) else clips).append(inside / name)
    if not clips and not results:
        raise InputFault(
            f"{folder}: neither video files nor numbered PNG/JPEG frames in it; "
            f"videos are recognised by endings such as .mp4, .mov or .mkv."
        )
    return clips, results


def _check_targets(pairs: Sequence[Pair], output: str | None, folder: bool) -> None:
    if len(pairs) > 1 and output is not None and not folder:
        raise UsageFault(f"-o {output}: there are {len(pairs)} clips, so the output must be a folder; end it in /.")
    for place, count in Counter(place_of(pair.target) for pair in pairs).items():
        if count > 1:
            alike = [pair for pair in pairs if place_of(pair.target) == place]
            names = " and ".join(str(pair.source) for pair in alike)
            raise UsageFault(
                f"{names} would both become {os.path.abspath(alike[0].target)}; rename one, or deblur them apart."
            )


def place_of(target: Path) -> str:
    """What two names of one file have in common: disks of macOS and Windows take `Clip` and `clip` for the same."""
    path = os.path.abspath(target)
    return path.casefold() if sys.platform in ("darwin", "win32") else path
