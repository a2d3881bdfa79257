"""compare: both clips in one video with the first one's sound, sheets at full size, bad input said plainly."""

from __future__ import annotations

import base64
import json
import re
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from made_clips import shaken, texture, write_folder, write_video

from selfhvd_cli.compare_videos import compare
from selfhvd_cli.comparing import footage
from selfhvd_cli.comparing.footage import Looked, stretch
from selfhvd_cli.errors import InputFault, UsageFault
from selfhvd_cli.quality.panels import labelled
from selfhvd_cli.quality.sheet import telling_frames
from selfhvd_cli.training.sharpness import find_sharp_frames

BLURS = [0, 2, 3, 1, 0, 0]


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    dark = write_video(tmp_path / "a.mp4", [frame // 4 for frame in shaken(BLURS, 96, 64)], sound=True)
    light = write_video(tmp_path / "b.mp4", [255 - frame // 4 for frame in shaken([0] * 6, 96, 64)])
    return dark, light


def decoded(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as file:
        return [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]


def sound_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as file:
        return [bytes(packet) for packet in file.demux(audio=0) if packet.size]


def test_side_by_side_with_the_first_ones_sound(pair: tuple[Path, Path], tmp_path: Path) -> None:
    made = compare(*pair, tmp_path / "out.mp4")
    frames = decoded(made.target)
    assert len(frames) == 6
    assert frames[0].shape == (64, 196, 3)
    assert frames[3][40:, :90].mean() < 80
    assert frames[3][40:, 106:].mean() > 170
    assert sound_of(made.target) == sound_of(pair[0])
    assert made.notes == ()
    with av.open(str(made.target)) as file, av.open(str(pair[0])) as source:
        times = [frame.time for frame in file.decode(video=0)]
        assert times == pytest.approx([frame.time for frame in source.decode(video=0)], abs=1e-3)


def test_labels_have_the_letters_of_most_names() -> None:
    empty = np.zeros((80, 200, 3), np.uint8)
    shown = {labelled(empty, letter, 40).tobytes() for letter in "ЖЩλωłřěş\ufffd"}
    assert len(shown) == 9, "no two look alike, as boxes do"


def test_split_and_labels(pair: tuple[Path, Path], tmp_path: Path) -> None:
    frame = decoded(compare(*pair, tmp_path / "out.mkv", layout="split", labels=("before", "after")).target)[2]
    plain = decoded(compare(*pair, tmp_path / "bare.mkv", layout="split", labels=("", "")).target)[2]
    assert frame.shape == (64, 96, 3)
    assert frame[40:, :44].mean() < 80
    assert frame[40:, 52:].mean() > 170
    assert np.abs(frame[:20].astype(int) - plain[:20]).max() > 60, "the labels are there"


def test_a_part_keeps_its_part_of_the_sound(pair: tuple[Path, Path], tmp_path: Path) -> None:
    made = compare(*pair, tmp_path / "out.mp4", start=0.2, duration=0.3)
    assert made.frames == len(decoded(made.target)) == 3
    whole, part = sound_of(pair[0]), sound_of(made.target)
    assert 0 < len(part) < len(whole)
    assert part == whole[whole.index(part[0]) :][: len(part)]


def test_missing_sound_is_said(pair: tuple[Path, Path], tmp_path: Path) -> None:
    silent, other = pair[1], pair[0]
    made = compare(silent, other, tmp_path / "out.mp4")
    assert made.notes == ("no sound: b.mp4 has no sound",)
    folders = [write_folder(tmp_path / name, shaken([0, 1])) for name in ("one", "two")]
    assert compare(*folders, tmp_path / "folders.mp4").frames == 2


def test_a_turned_video_is_shown_upright(tmp_path: Path) -> None:
    frames = shaken([0, 0], 96, 64)
    turned = write_video(tmp_path / "turned.mp4", frames, rotation=-90)
    shown = decoded(compare(turned, turned, tmp_path / "out.mp4", labels=("", "")).target)[0]
    assert shown.shape == (96, 64 * 2 + 4, 3)
    # -90 in FFmpeg's tag: the player turns the stored picture clockwise.
    expected = np.rot90(frames[0], -1)
    inside = slice(20, None)
    assert np.abs(shown[inside, :64].astype(int) - expected[inside]).mean() < 25
    assert np.abs(shown[inside, :64].astype(int) - expected[::-1, ::-1][inside]).mean() > 40


@pytest.mark.parametrize("ending", ["mp4", "png", "html"])
@pytest.mark.parametrize("order", [1, -1])
def test_what_has_lost_its_orientation_is_shown_as_the_other(tmp_path: Path, order: int, ending: str) -> None:
    frames = shaken([0, 1], 96, 64)
    kept = write_video(tmp_path / "kept.mp4", frames, rotation=-90)
    lost = write_video(tmp_path / "lost.mp4", frames)
    made = compare(
        *(kept, lost)[::order],
        tmp_path / f"out.{ending}",
        labels=("", ""),
        metrics="sharpness" if ending == "html" else None,
    )
    assert "lost.mp4 has lost its orientation; it is shown as the other" in made.notes
    if ending == "mp4":
        shown = decoded(made.target)[0]
        assert shown.shape == (96, 64 * 2 + 4, 3)
        assert np.abs(shown[20:, :64].astype(int) - shown[20:, 68:]).mean() < 25
        assert np.abs(shown[20:, :64].astype(int) - shown[20:, 68:][::-1, ::-1]).mean() > 40


@pytest.mark.parametrize(
    ("aspect", "rotation", "size"),
    [(Fraction(4, 3), 0, (64, 128)), (Fraction(2, 3), 0, (96, 96)), (Fraction(4, 3), -90, (128, 64))],
)
def test_pixels_that_are_not_square_are_shown_as_players_do(
    tmp_path: Path, aspect: Fraction, rotation: int, size: tuple[int, int]
) -> None:
    clip = write_video(tmp_path / "clip.mp4", shaken([0, 1], 96, 64), aspect=aspect, rotation=rotation)
    height, width = size
    assert decoded(compare(clip, clip, tmp_path / "out.mp4").target)[0].shape == (height, 2 * width + 4, 3)
    assert decoded(compare(clip, clip, tmp_path / "split.mp4", layout="split").target)[0].shape == (height, width, 3)
    sheet = cv2.imread(str(compare(clip, clip, tmp_path / "sheet.png").target))
    assert sheet.shape[1] == 2 * width + 4
    page = compare(clip, clip, tmp_path / "page.html", metrics="sharpness").target.read_text(encoding="utf-8")
    assert f'"width": {width}, "height": {height}' in page


def test_a_sheet_shows_worst_median_and_best_at_full_size(tmp_path: Path) -> None:
    blurred, sharp = shaken([0, 3, 1], 80, 60), shaken([0, 0, 0], 80, 60)
    one, other = write_folder(tmp_path / "one", blurred), write_folder(tmp_path / "other", sharp)
    made = compare(one, other, tmp_path / "sheet.png")
    assert made.shown == {"worst": 1, "median": 2, "best": 0}
    picture = cv2.imread(str(made.target))[..., ::-1]
    assert picture.shape[1] == 80 * 2 + 4
    rows = [r for r in range(picture.shape[0] - 59) if np.array_equal(picture[r : r + 60, :80], blurred[1])]
    assert len(rows) == 1, "the worst frame, pixel for pixel"
    assert np.array_equal(picture[rows[0] : rows[0] + 60, 84:], sharp[1])


def test_one_frame_is_enough(tmp_path: Path) -> None:
    clip = write_folder(tmp_path / "one", [texture()])
    assert compare(clip, clip, tmp_path / "sheet.png").shown == {"worst": 0}
    assert compare(clip, clip, tmp_path / "page.html", metrics="sharpness,temporal").frames == 1


def test_a_page_can_score_further_videos(tmp_path: Path) -> None:
    clips = [write_folder(tmp_path / name, shaken(blurs)) for name, blurs in
             (("in", [2, 2]), ("ours", [0, 0]), ("theirs", [1, 1]))]  # fmt: skip
    made = compare(clips[0], clips[1], tmp_path / "page.html", also=clips[2:], metrics="sharpness,shift")
    assert made.report is not None
    assert [video.video for video in made.report.videos] == clips
    text = made.target.read_text(encoding="utf-8")
    assert "<th>in</th><th>ours</th><th>theirs</th>" in text


def test_telling_frames() -> None:
    assert telling_frames([3.0, 1.0, 2.0, 9.0, 5.0]) == {"worst": 1, "median": 0, "best": 3}
    assert telling_frames([2.0, 1.0]) == {"worst": 1, "median": 0}
    assert telling_frames([2.0]) == {"worst": 0}


def test_a_long_clip_shows_its_most_blurred_stretch() -> None:
    times = tuple(index / 10 for index in range(400))
    scores = [1.0 if 15 <= time < 25 else 9.0 for time in times]
    sharp = find_sharp_frames(scores)
    spans, notes = stretch(Looked(times, sharp, sharp, (Fraction(5), Fraction(0))))
    assert spans is not None
    taken = [
        [time for time in times if span.start <= begin + time < span.start + span.duration]
        for span, begin in zip(spans, (5, 0), strict=True)
    ]
    assert taken[0] == taken[1] == [time for time in times if 15 <= time < 25]
    assert "15.0 s" in notes[0]


def test_the_clip_of_a_page_has_the_sound_of_its_stretch(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(footage, "PAGE_SECONDS", 0.2)
    made = compare(*pair, tmp_path / "page.html", metrics="sharpness", every=6)
    text = made.target.read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1].replace("<\\/", "</"))  # type: ignore[index]
    (tmp_path / "clip.mp4").write_bytes(base64.b64decode(data["clip"]))
    assert len(decoded(tmp_path / "clip.mp4")) == 2
    whole, part = sound_of(pair[0]), sound_of(tmp_path / "clip.mp4")
    assert part == whole[whole.index(part[0]) :][: len(part)]
    assert whole.index(part[0]) > 0, "the most blurred frames are not the first ones"


def test_a_part_against_what_was_made_of_it(pair: tuple[Path, Path], tmp_path: Path) -> None:
    piece = write_video(tmp_path / "piece.mp4", shaken([0] * 3, 96, 64))
    page = compare(pair[0], piece, tmp_path / "page.html", start="2f", duration="3f", whole=[piece], metrics="shift")
    assert page.frames == 3
    assert page.report is not None
    assert [video.frames for video in page.report.videos] == [3, 3]


def test_bad_input(pair: tuple[Path, Path], tmp_path: Path) -> None:
    short = write_video(tmp_path / "short.mp4", shaken([0] * 4, 96, 64))
    small = write_video(tmp_path / "small.mp4", shaken([0] * 6, 64, 64))
    with pytest.raises(InputFault, match=r"short\.mp4 has 4 frames.*a\.mp4 has 6 frames"):
        compare(pair[0], short, tmp_path / "out.mp4")
    with pytest.raises(InputFault, match=r"96×64 pixels.*64×64"):
        compare(pair[0], small, tmp_path / "out.png")
    with pytest.raises(UsageFault, match=r"\.html"):
        compare(*pair, tmp_path / "out.gif")
    with pytest.raises(UsageFault, match="input"):
        compare(*pair, pair[1], overwrite=True)
    (tmp_path / "there.png").write_bytes(b"mine")
    with pytest.raises(UsageFault, match="--overwrite"):
        compare(*pair, tmp_path / "there.png")
    assert (tmp_path / "there.png").read_bytes() == b"mine"
    assert not [path for path in tmp_path.iterdir() if ".part" in path.name or path.name.startswith(".")]
    assert not (tmp_path / "out.mp4").exists()
