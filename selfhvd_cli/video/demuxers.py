"""Which demuxers may open a file: those of recordings, not those of lists that name other files, nor of text.

A list whose name ends in .mp4 is a list to FFmpeg all the same: whoever sends such a "clip" has files of his choice
read, and what they show put into the output. Text is drawn as a terminal would show it, and a film of it comes out.
"""

from __future__ import annotations

from pathlib import Path

import av

LISTS = frozenset(("applehttp", "concat", "dash", "hls", "imf", "rtp", "rtsp", "sdp", "webm_dash_manifest"))
"""Demuxers whose files name other files or addresses."""

MADE = frozenset(("avisynth", "lavfi", "tty", "vapoursynth"))
"""Demuxers of text and of scripts: they draw pictures that nobody recorded."""

LIST_STARTS = (b"#EXTM3U", b"ffconcat version", b"<MPD", b"v=0")
"""What is near the start of lists: HLS, FFmpeg's own, DASH, SDP."""

HEAD = 4096
"""Bytes that tell what a refused file is."""


def what_else(path: Path) -> str | None:
    """What a file is that no allowed demuxer opens, in words with what to do; None if nothing is known of it.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
    if b"\0" in head:
        return None
    if any(start in head for start in LIST_STARTS):
        return "is a list of other files, not a recording; name the recording itself"
    return "is text, not a recording; name the video file"


def _demuxes(name: str) -> bool:
    try:
        return av.ContainerFormat(name, "r").is_input
    except ValueError:  # it only muxes
        return False


ONLY_RECORDINGS = {
    "format_whitelist": ",".join(sorted(name for name in av.formats_available - LISTS - MADE if _demuxes(name)))
}
"""The option of a demuxer that leaves the others out."""
