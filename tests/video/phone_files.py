"""One file copied through reader and writer, and everything a user could miss compared."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from video_clips import Track, tracks_of

from selfhvd_cli.video.encoders import Encoding
from selfhvd_cli.video.info import VideoInfo
from selfhvd_cli.video.probe import probe
from selfhvd_cli.video.reader import open_reader
from selfhvd_cli.video.receipt import Receipt
from selfhvd_cli.video.writing import open_writer

STRETCHES: Mapping[str, Fraction] = {
    "amx_8k24fps_300ms.mp4": Fraction(1, 30),
    "amx_long_1080p_lowbitrate.mp4": Fraction(1),
    "amx_portrait_4k60.mp4": Fraction(1, 15),
    "amx_internal_emulator_transformer_output_180_rotated.mp4": Fraction(1, 2),
    "amx_internal_emulator_transformer_output_270_rotated.mp4": Fraction(1, 2),
    "gopro_karma.mp4": Fraction(1),
}
"""Files of which only the beginning is copied, in seconds: the whole would take long and show nothing more."""

WRITTEN_ANEW = ("encoder", "duration", "major_brand", "minor_version", "compatible_brands", "vendor_id")
"""Tags that only describe the container, where its muxer writes them."""


@dataclass(frozen=True)
class Outcome:
    """What was the same after a copy."""

    info: VideoInfo
    frames: int
    same: Mapping[str, bool]
    tracks: str
    """How many of the other tracks came back packet for packet, of how many."""

    receipt: Receipt

    @property
    def lost(self) -> set[str]:
        return {name for name, kept in self.same.items() if not kept}


def copy_and_compare(source: Path, folder: Path) -> Outcome:
    """Copy a file, decoded and encoded but not restored, and compare the two."""
    stretch = STRETCHES.get(source.name)
    target = folder / source.name
    times = []
    with (
        open_reader(source, duration=stretch) as reader,
        open_writer(target, reader.info, Encoding(preset="ultrafast"), overwrite=True, duration=stretch) as writer,
    ):
        for frame in reader:
            times.append(frame.time)
            writer.write(frame)
    with open_reader(target) as again:
        found = [frame.time for frame in again]
    before, after = reader.info, probe(target)
    begin = times[0] if stretch is not None else min(times[0], Fraction(0))
    old, new = tracks_of(source), tracks_of(target)
    others = [index for index in range(len(old)) if index != before.stream_index]
    whole = [stretch is not None or _track_kept(old[index], new) for index in others]
    same = {
        "frames": len(found) == len(times),
        "times": found == [time - begin for time in times],
        "packets": all(whole),
        "tags": _tags_kept(before.metadata, after.metadata),
        "stream tags": all(_tags_kept(old[index].tags, _like(old[index], new)) for index in others),
        "main tags": _tags_kept(before.main_stream.metadata, after.main_stream.metadata),
        "matrix": after.display_matrix == before.display_matrix,
        "aspect": (after.sample_aspect_ratio or 1) == (before.sample_aspect_ratio or 1),
        "colour": _color(after) == _color(before),
        "depth": after.bit_depth == before.bit_depth,
        "pixel format": after.pixel_format == before.pixel_format,
        "codec": after.codec == before.codec,
        "chapters": stretch is not None or after.chapters == before.chapters,
        "duration": stretch is not None or _about(before, after),
        "mtime": os.stat(target).st_mtime == os.stat(source).st_mtime,
    }
    return Outcome(before, len(times), same, f"{sum(whole)}/{len(whole)}", writer.receipt)


def _track_kept(track: Track, written: list[Track]) -> bool:
    """Whether a track came back: the same packets, at the same times, hidden where they were hidden."""
    return any(each.kind == track.kind and each.packets == track.packets for each in written)


def _like(track: Track, written: list[Track]) -> Mapping[str, str]:
    """The tags of the track that came back; those asked for where none did, which is counted elsewhere."""
    same = [each for each in written if each.kind == track.kind and each.packets == track.packets]
    return same[0].tags if same else track.tags


def _tags_kept(before: Mapping[str, str], after: Mapping[str, str]) -> bool:
    found = {name.lower(): value for name, value in after.items()}
    return all(found.get(name.lower()) == value for name, value in before.items() if name.lower() not in WRITTEN_ANEW)


def _about(before: VideoInfo, after: VideoInfo) -> bool:
    """Whether durations agree; some phones do not count the last frame."""
    if before.duration is None or after.duration is None:
        return before.duration is None
    return abs(after.duration - before.duration) * before.frame_rate < 1


def _color(info: VideoInfo) -> tuple[int, int, int, int]:
    """Colour tags; decoders of HEVC and AV1 call an unstated range limited, others leave it unstated."""
    color = info.color
    return color.primaries, color.transfer, color.matrix, color.range or 1
