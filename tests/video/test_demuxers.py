"""Lists that name other files, and text, are no clips, whatever they are called."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tiny_clips import make_clip

from selfhvd_cli.errors import InputFault
from selfhvd_cli.video.opening import open_input
from selfhvd_cli.video.pictures.frames_folder import read_picture

LISTS = {
    "HLS": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile {}\n",
    "SDP": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns={}\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\n",
}


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A file that somebody else must not have read."""
    return make_clip(tmp_path / "private.ts")


@pytest.mark.parametrize("ending", ["mp4", "m3u8", "txt", "ts", "sdp", "ffconcat"])
@pytest.mark.parametrize("kind", LISTS)
def test_a_list_is_refused_whatever_its_name(tmp_path: Path, other: Path, kind: str, ending: str) -> None:
    clip = tmp_path / f"clip.{ending}"
    clip.write_text(LISTS[kind].format(other.name))
    with pytest.raises(InputFault, match="list of other files, not a recording; name the recording itself"):
        open_input(clip)


def test_a_list_among_numbered_frames_is_refused(tmp_path: Path, other: Path) -> None:
    picture = tmp_path / "00001.png"
    picture.write_text(LISTS["concat"].format(other.name))
    with pytest.raises(InputFault, match="cannot be read as a picture"):
        read_picture(picture)


def test_text_is_no_film(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("shot 1: the harbour\n" * 50)
    result = subprocess.run(
        [sys.executable, "-m", "selfhvd_cli", "inspect", str(notes), "--no-estimate"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 4
    assert "notes.txt: is text, not a recording; name the video file." in result.stderr
