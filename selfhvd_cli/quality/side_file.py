"""A table or a plot that is written beside a command's answer, and that must not cost anything else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from selfhvd_cli.errors import SelfHVDError, UsageFault
from selfhvd_cli.video.output_file import OutputFile
from selfhvd_cli.video.pictures.frame_paths import SUFFIXES


def side_file(
    option: str, target: Path | None, suffix: str, inputs: Sequence[Path], overwrite: bool
) -> OutputFile | None:
    """The place of such a file, checked before there is anything to write; None where none is asked for.

    Args:
        option: that names it, for messages.
        suffix: the only one it may have, in small letters.
        inputs: what the command reads; none is replaced, and a picture never joins a folder of frames.
        overwrite: whether another file of that name may be replaced.

    Raises:
        UsageFault: another ending, an input, or there is such a file and `overwrite` is off.
        DiskFault: its folder does not exist or cannot be written.
    """
    if target is None:
        return None
    if target.suffix.lower() != suffix:
        raise UsageFault(f"{option} {target}: it is written as {suffix}; give it that ending.")
    check_joins_no_frames(target, inputs, option)
    try:
        for source in inputs:
            file = OutputFile(target, source, overwrite)
    except SelfHVDError as fault:
        # What the checks say is meant for a command's main output.
        raise type(fault)(fault.message.replace("with -o", f"with {option}")) from None
    return file


def check_joins_no_frames(target: Path, inputs: Sequence[Path], option: str) -> None:
    """Keep a picture out of the folders of frames that a command reads.

    Raises:
        UsageFault: it would be one of their frames the next time, or replace one.
    """
    if target.suffix.lower() not in SUFFIXES:
        return
    for source in inputs:
        if source.is_dir() and source.resolve() == target.parent.resolve():
            raise UsageFault(f"{target}: would be taken for a frame of {source}; choose another place with {option}.")


def write_side_file(file: OutputFile, content: bytes) -> None:
    """Write it; it appears whole or not at all.

    Raises:
        UsageFault: another process writes it.
        DiskFault: the disk does not take it.
    """
    try:
        with file.disk_faults():
            file.claim()
            file.part.write_bytes(content)
        file.commit()
    finally:
        file.discard()
