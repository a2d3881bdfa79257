"""Rehearsal: what a run would refuse before its work, found out without touching its output."""

from __future__ import annotations

from selfhvd_cli.deblurring.job import DeblurJob, check_clip, check_paths, missing_part
from selfhvd_cli.deblurring.span import span_of
from selfhvd_cli.video.output_file import OutputFile
from selfhvd_cli.video.pictures.frame_paths import is_frames_target
from selfhvd_cli.video.reader import open_reader
from selfhvd_cli.video.trial import try_encoder


def rehearse(job: DeblurJob, makes_folder: bool = False) -> None:
    """Begin a job as a run would, up to its first frame and an encoder that opens.

    Args:
        makes_folder: whether the folder of the output is made before the run.

    Raises:
        SelfHVDError: a child of it, the one that the run would end with.
    """
    check_paths(job.source, job.target, job.overwrite)
    span = span_of(job.source, job.start, job.duration)
    with open_reader(job.source, span.start, span.duration) as reader:
        check_clip(reader.info)
        missing_part(job.source, job.salvage)
        next(iter(reader), None)  # a stretch without frames is a fault of the reader's
        if not makes_folder:
            # A folder that is there has been found fit by `check_paths`: it is empty, or may be replaced.
            OutputFile(job.target, job.source, job.overwrite or job.target.is_dir())
        if not is_frames_target(job.target):
            try_encoder(job.target, reader.info, job.encoding, span.start, span.duration)
