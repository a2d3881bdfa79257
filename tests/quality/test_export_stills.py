"""still: the sharpest frames, apart from each other, upright, with the clip's date, place and camera."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from made_clips import shaken, write_folder, write_video
from PIL import Image

from selfhvd_cli.errors import InputFault, UsageFault
from selfhvd_cli.export_stills import sharpest, still

TAGS = {
    "com.apple.quicktime.creationdate": "2024-05-01T12:00:00+0200",
    "com.apple.quicktime.location.ISO6709": "-33.8568+151.2153+004.500/",
    "com.apple.quicktime.make": "Apple",
    "com.apple.quicktime.model": "iPhone 14 Pro",
    "creation_time": "2024-05-01T10:00:00.000000Z",
}


def test_the_sharpest_frames_apart_from_each_other(tmp_path: Path) -> None:
    frames = shaken([2, 0, 1, 2, 2, 0.6, 2, 2, 2, 2])
    stills = still(write_folder(tmp_path / "clip", frames), tmp_path / "out", count=2, apart=0.1, format="png")
    assert [one.frame for one in stills] == [1, 5]
    assert [one.path.name for one in stills] == ["clip_00001.png", "clip_00005.png"]
    assert np.array_equal(np.asarray(Image.open(stills[0].path)), frames[1])


@pytest.mark.parametrize("start", ["12f", 0.4, "0.39"])
@pytest.mark.parametrize("kind", ["folder", "clip.mp4", "clip.mkv", "clip.avi"])
def test_a_frame_has_its_number_in_the_clip_whatever_is_looked_at(
    kind: str, start: str | float, tmp_path: Path
) -> None:
    frames = shaken([0, *[2] * 12, 0, *[2] * 4], 96, 64)
    clip = (
        write_folder(tmp_path / "clip", frames) if kind == "folder" else write_video(tmp_path / kind, frames, rate=30)
    )
    (only,) = still(clip, tmp_path / "out", count=1, start=start)
    assert (only.frame, only.path.name) == (13, "clip_00013.jpg")
    assert only.seconds == pytest.approx(13 / 30, abs=1e-3)


def test_clips_that_differ_in_their_ending_alone_have_pictures_of_their_own(tmp_path: Path) -> None:
    clips = [write_video(tmp_path / name, shaken([0], 96, 64)) for name in ("clip.mov", "clip.mp4")]
    names = [still(clip)[0].path.name for clip in clips]
    assert names == ["clip-mov_00000.jpg", "clip-mp4_00000.jpg"]


def test_the_folder_one_is_in_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write_folder(tmp_path / "clip.v2", shaken([0])))
    assert still(".")[0].path == tmp_path / "clip.v2_00000.jpg"
    with pytest.raises(UsageFault, match="frame of"):
        still(".", ".", format="png")


def test_pictures_are_named_as_the_clip_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    write_video(tmp_path / "in/clip.mp4", shaken([0.0, 2.0]))
    monkeypatch.chdir(tmp_path)
    assert [one.path for one in still("in/clip.mp4", count=1)] == [Path("in/clip_00000.jpg")]
    monkeypatch.chdir(tmp_path / "in")
    assert [one.path for one in still("clip.mp4", count=1, overwrite=True)] == [Path("clip_00000.jpg")]


@pytest.mark.parametrize(
    ("aspect", "rotation", "size"), [("4/3", 0, (128, 64)), ("2/3", 0, (96, 96)), ("4/3", -90, (64, 128))]
)
def test_pictures_are_as_wide_as_players_show_them(
    tmp_path: Path, aspect: str, rotation: int, size: tuple[int, int]
) -> None:
    clip = write_video(tmp_path / "clip.mp4", shaken([0], 96, 64), aspect=Fraction(aspect), rotation=rotation)
    assert Image.open(still(clip)[0].path).size == size


def test_distance_beats_sharpness() -> None:
    times = [Fraction(index, 10) for index in range(10)]
    scores = [9.0, 8.0, 7.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 3.0]
    assert sharpest(scores, times, 3, Fraction(4, 10)) == [0, 5, 9]
    assert sharpest(scores, times, 3, Fraction(0)) == [0, 1, 2]


@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_exif_says_when_where_and_with_what(tmp_path: Path, kind: str) -> None:
    frames = shaken([2] * 6 + [0] + [2] * 3, 96, 64)
    clip = write_video(tmp_path / "clip.mov", frames, rate=2, rotation=-90, tags=TAGS)
    (only,) = still(clip, count=1, format=kind)
    with Image.open(only.path) as picture:
        exif = picture.getexif()
        codes = np.asarray(picture.convert("RGB")).astype(int)
    assert exif[0x0112] == 1, "orientation: the pixels are upright already"
    assert (exif[0x010F], exif[0x0110]) == ("Apple", "iPhone 14 Pro")
    assert exif.get_ifd(0x8769)[0x9003] == "2024:05:01 12:00:03", "frame 6 of 2 a second"
    assert exif.get_ifd(0x8769)[0x9011] == "+02:00"
    place = exif.get_ifd(0x8825)
    assert (place[1], place[3]) == ("S", "E")
    for name, expected in ((2, 33.8568), (4, 151.2153)):
        degrees, minutes, seconds = (float(part) for part in place[name])
        assert degrees + minutes / 60 + seconds / 3600 == pytest.approx(expected, abs=1e-6)
    assert float(place[6]) == pytest.approx(4.5)
    assert codes.shape == (96, 64, 3)
    assert np.abs(codes - np.rot90(frames[6], -1)).mean() < 25


def test_a_clip_without_tags_still_gives_a_picture(tmp_path: Path) -> None:
    (only,) = still(write_folder(tmp_path / "clip", shaken([0])), count=5)
    exif = Image.open(only.path).getexif()
    assert exif[0x0112] == 1
    assert 0x8825 not in exif


@pytest.mark.parametrize(("name", "format"), [("best.jpg", "JPEG"), ("made/best.JPEG", "JPEG"), ("best.png", "PNG")])
def test_one_picture_is_given_a_name(tmp_path: Path, name: str, format: str) -> None:
    clip = write_folder(tmp_path / "clip", shaken([2, 0, 2]))
    target = tmp_path / name
    (only,) = still(clip, target)
    assert (only.path, only.frame) == (target, 1)
    assert Image.open(target).format == format
    with pytest.raises(UsageFault, match="--overwrite"):
        still(clip, target)
    with pytest.raises(UsageFault, match="name a folder"):
        still(clip, target, count=2, overwrite=True)


@pytest.mark.parametrize(
    ("name", "format", "said"),
    [
        ("best.heic", None, "written as .jpg or .png"),
        ("best.jpg", "png", "its ending says jpg"),
        ("notes.txt", None, "no place for a picture"),
        ("clip.mp4", None, "no place for a picture"),
        ("clip/best.png", None, "frame of"),
    ],
)
def test_a_name_that_is_no_place_for_a_picture(tmp_path: Path, name: str, format: str | None, said: str) -> None:
    clip = write_folder(tmp_path / "clip", shaken([0]))
    files = [tmp_path / "notes.txt", tmp_path / "clip.mp4"]
    for each in files:
        each.write_bytes(b"mine")
    with pytest.raises(UsageFault, match=said):
        still(clip, tmp_path / name, format=format, overwrite=True)
    assert all(each.read_bytes() == b"mine" for each in files)
    assert len(list(tmp_path.rglob("*"))) == 4


def test_a_folder_called_like_a_picture_is_a_folder(tmp_path: Path) -> None:
    clip = write_folder(tmp_path / "clip", shaken([0]))
    (tmp_path / "best.jpg").mkdir()
    (only,) = still(clip, tmp_path / "best.jpg")
    assert only.path.parent == tmp_path / "best.jpg"


def test_existing_pictures_are_kept_and_bad_input_is_said(tmp_path: Path) -> None:
    clip = write_folder(tmp_path / "clip", shaken([0]))
    (only,) = still(clip)
    before = only.path.stat().st_mtime_ns
    with pytest.raises(UsageFault, match="--overwrite"):
        still(clip)
    assert only.path.stat().st_mtime_ns == before
    assert still(clip, overwrite=True)[0].path == only.path
    with pytest.raises(UsageFault, match="--format gif"):
        still(clip, format="gif")
    for apart in (-1.0, float("nan"), float("inf")):
        with pytest.raises(UsageFault, match="--apart"):
            still(clip, apart=apart)
    for target in (None, only.path):
        with pytest.raises(InputFault):
            still(tmp_path / "none.mp4", target, overwrite=True)
    with pytest.raises(UsageFault, match="no place for a picture"):
        still(only.path, only.path, overwrite=True)
