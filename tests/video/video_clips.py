"""Small generated clips, and what tests compare of files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from selfhvd_cli.video.encoders import Encoding
from selfhvd_cli.video.priority import priority_kept
from selfhvd_cli.video.reader import open_reader
from selfhvd_cli.video.receipt import Receipt
from selfhvd_cli.video.writing import open_writer

FAST = Encoding(preset="ultrafast")


def draw(index: int, width: int, height: int) -> np.ndarray:
    """A picture with colour, edges and a square that moves with the frame number."""
    y, x = np.mgrid[0:height, 0:width]
    picture = np.stack([x * 255 // width, y * 255 // height, 255 - (x + y) * 255 // (width + height)], -1)
    side = max(2, width // 6)
    left = (3 * index) % max(1, width - side)
    picture[height // 3 : height // 3 + side, left : left + side] = (250, 240, 20)
    return picture.astype(np.uint8)


@dataclass
class Recipe:
    """What to generate."""

    frames: int = 8
    size: tuple[int, int] = (64, 48)
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    time_base: Fraction = Fraction(1, 600)
    ticks: Sequence[int] | None = None
    """Presentation times in `time_base`; 30 a second by default."""

    sound: bool = True
    sound_delay: int = 0
    """Ticks of 1/44100."""

    matrix: Sequence[int] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    chapters: Sequence[tuple[int, int, str]] = ()
    """(start, end, title) in milliseconds."""

    color: tuple[int, int, int, int] = (1, 1, 1, 1)
    """Primaries, transfer, matrix, range."""

    sample_aspect_ratio: Fraction | None = None
    options: Mapping[str, str] = field(default_factory=dict)


def make(path: Path, recipe: Recipe) -> Path:
    container_options = {"movflags": "use_metadata_tags"} if path.suffix in (".mp4", ".mov") else {}
    with av.open(str(path), "w", container_options=container_options) as output:
        output.metadata.update(recipe.tags)
        width, height = recipe.size
        step = round(Fraction(1, 30) / recipe.time_base)
        ticks = recipe.ticks or [i * step for i in range(recipe.frames)]
        options = {"preset": "ultrafast", "crf": "12"} if recipe.codec in ("libx264", "libx265") else {}
        if recipe.codec == "libx265":
            # x265 leaves decoding times unset in streams shorter than its delay, and what is there then varies.
            options["x265-params"] = "log-level=error" + (":bframes=0" if len(ticks) < 4 else "")
        stream = output.add_stream(recipe.codec, rate=30, options={**options, **recipe.options})
        stream.width, stream.height, stream.pix_fmt = width, height, recipe.pixel_format
        stream.codec_context.time_base = stream.time_base = recipe.time_base
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = recipe.color
        if recipe.sample_aspect_ratio:
            context.sample_aspect_ratio = recipe.sample_aspect_ratio
        if recipe.matrix is not None:
            stream.set_display_matrix(recipe.matrix)
        sound = output.add_stream("aac", rate=44100) if recipe.sound else None
        if recipe.chapters:
            output.set_chapters(
                [
                    {"id": i, "start": a, "end": b, "time_base": Fraction(1, 1000), "metadata": {"title": title}}
                    for i, (a, b, title) in enumerate(recipe.chapters)
                ]
            )
        with priority_kept():
            context.open()
        for index, tick in enumerate(ticks):
            frame = av.VideoFrame.from_ndarray(draw(index, width, height), format="rgb24")
            kind = {1: 1, 9: 9}.get(recipe.color[2], 5)
            frame = frame.reformat(
                format=recipe.pixel_format, dst_colorspace=kind, dst_color_range=recipe.color[3] or 1
            )
            frame.pts, frame.time_base = tick, recipe.time_base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if sound is not None:
            add_sound(output, sound, (ticks[-1] + step) * recipe.time_base, recipe.sound_delay)
    return path


def add_sound(output: av.container.OutputContainer, stream: av.AudioStream, length: Fraction, delay: int) -> None:
    samples = round(length * 44100)
    wave = (0.2 * np.sin(np.arange(samples) * 0.05)).astype(np.float32)
    for start in range(0, samples, 1024):
        part = wave[start : start + 1024]
        frame = av.AudioFrame.from_ndarray(np.stack([part, part]), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 44100, delay + start, Fraction(1, 44100)
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


@dataclass(frozen=True)
class Track:
    """What a test compares of a stream."""

    kind: str
    packets: tuple[tuple[str, Fraction | None, bool], ...]
    """(hash, time in seconds, hidden by an edit list) of each packet."""

    tags: Mapping[str, str]
    disposition: int


def tracks_of(path: Path) -> list[Track]:
    """The streams of a file with the hashes of their packets."""
    with av.open(str(path), metadata_errors="replace") as container:
        found: dict[int, list[tuple[str, Fraction | None, bool]]] = {s.index: [] for s in container.streams}
        for packet in container.demux():
            if packet.size:
                time = packet.pts * packet.time_base if packet.pts is not None else None
                digest = hashlib.sha256(bytes(packet)).hexdigest()
                found[packet.stream_index].append((digest, time, packet.is_discard))
        return [Track(s.type, tuple(found[s.index]), dict(s.metadata), int(s.disposition)) for s in container.streams]


def codes_of(path: Path) -> list[list[bytes]]:
    """The decoded planes of each frame of the first picture stream, row padding removed."""
    result = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            planes = []
            for plane in frame.planes:
                item = 2 if frame.format.components[0].bits > 8 else 1
                rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
                planes.append(rows[:, : plane.width * item].tobytes())
            result.append(planes)
    return result


def copy(source: Path, target: Path, encoding: Encoding = FAST, **stretch: Fraction) -> Receipt:
    """Every frame of `source` through reader and writer, unchanged."""
    with open_reader(source, **stretch) as reader, open_writer(target, reader.info, encoding, **stretch) as writer:
        for frame in reader:
            writer.write(frame)
    assert not list(target.parent.glob("*.part"))
    return writer.receipt
